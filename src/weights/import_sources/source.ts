// What an import reads: the models it found, where their weights are, and the small files that go with them.
import type {Prediction} from '../../diffusion/index.ts';
import type {Block, WeightSpec} from '../../layers/block.ts';
import type {DiffusionSettings} from '../key_maps/scheduler_config.ts';
import type {WeightSource} from '../load_weights.ts';
import type {SafetensorsFile} from '../safetensors.ts';
import type {FloatDtype, PartName, PartToWrite, SmallFile} from '../write_model_folder.ts';

export interface ImportOptions {
  /** A folder as diffusers saves it, or a .safetensors file (an index where it is split). */
  readonly source: string;
  /** The folder to write; it must not be there yet. */
  readonly out: string;
  /** Take the UNet's averaged weights from a single file that has both. */
  readonly ema?: boolean;
  /** What the network predicts, where the files say it wrongly or not at all (SD 2.x single files). */
  readonly prediction?: Prediction | undefined;
  /** Picks files such as `model.fp16.safetensors`. */
  readonly variant?: string | undefined;
  /** Store weights in this type; as they are where absent. */
  readonly dtype?: FloatDtype | undefined;
  /** A folder with vocab.json and merges.txt, or tokenizer.json: single files hold none. */
  readonly tokenizer?: string | undefined;
  /** A model folder whose layers over time go onto the source's UNet, with their own text where it is another one. */
  readonly temporal?: string | undefined;
  /** latents = rawLatents x this, for an autoencoder whose file does not say. */
  readonly scaleFactor?: number | undefined;
  /** Give missing weights their initial values; leave unexpected ones out. Wrong shapes are always refused. */
  readonly allowMissing?: boolean;
  readonly allowUnexpected?: boolean;
}

/** A model of the source, ready to be matched. */
export interface Found {
  readonly part: PartName;
  readonly model: Block;
  readonly source: WeightSource;
  readonly pathOf: (name: string) => string | undefined;
  readonly config: PartToWrite['config'];
  readonly nameOf: (path: string) => string;
  /** The weights that the part holds; absent: all. */
  readonly wanted?: (spec: WeightSpec) => boolean;
}

export interface Source {
  readonly kind: string;
  readonly found: readonly Found[];
  readonly files: readonly SmallFile[];
  readonly diffusion: DiffusionSettings | undefined;
  readonly hasTokenizer: boolean;
  readonly unexpected: readonly string[];
}

/** Opens a file that the import closes at its end. */
export type Open = (file: string) => Promise<SafetensorsFile>;

/** Our path under transformers' name. */
export const textName = (name: string) => `text_model.${name}`;
