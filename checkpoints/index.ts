// Checkpoints: one TrainState, saved whole or not at all, while training goes on.
export {type Checkpointer, type CheckpointerOptions, openCheckpointer, type SaveTimes} from './checkpointer.ts';
export {
  type ConfigChange,
  type ConfigComparison,
  type ConfigRule,
  compareConfigs,
  describeChange,
  refuseChanges,
} from './compare_configs.ts';
export {
  type CheckpointInfo,
  listCheckpoints,
  parseCheckpointName,
  readLatest,
  readStateRecord,
  removeUnfinished,
} from './folder.ts';
export {lockRun, type RunLock} from './lock.ts';
export {type KeepRules, prune} from './prune.ts';
export {type LatestCheckpoint, type LoadOptions, loadCheckpoint, loadLatest, verifyCheckpoint} from './read.ts';
export {settled} from './snapshot.ts';
export {FORMAT_VERSION, type StateRecord} from './state_json.ts';
export type {
  Ancestor,
  FillTensor,
  JsonValue,
  LoadedState,
  NamedTensors,
  StatePart,
  StateTensor,
  TrainState,
} from './train_state.ts';
export {type WriteCheckpointOptions, type WrittenCheckpoint, writeCheckpoint} from './write.ts';
