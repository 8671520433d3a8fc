// What a stage is given to make its recipe from.
import type {VideoBatch} from '../datasets/index.ts';
import type {StageConfig} from '../src/config/schema.ts';
import type {Frozen} from './parents/frozen.ts';

export interface StageContext<Config extends StageConfig> {
  readonly config: Config;
  /** What the run reads and never changes; undefined for a stage without a parent. */
  readonly frozen: Frozen | undefined;
  /** The fixed clips of held-out figures and previews, one a batch. */
  readonly heldOut: readonly VideoBatch[];
}
