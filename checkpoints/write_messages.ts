// What the training thread and the writing thread say to each other.
import type {KeepRules} from './prune.ts';
import type {LoadedState} from './train_state.ts';
import type {WriteCheckpointOptions, WrittenCheckpoint} from './write.ts';

export interface WriteRequest {
  folder: string;
  /** Tensors lie in shared memory, which the training thread leaves alone until the reply. */
  state: LoadedState;
  options: WriteCheckpointOptions;
  keep: KeepRules | undefined;
}

export type WriteReply =
  | {written: WrittenCheckpoint; removed: string[]}
  /** `user`: a message meant for the user, whole in itself. */
  | {failure: string; user: boolean};
