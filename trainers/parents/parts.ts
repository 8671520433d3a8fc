// The networks and settings that runs hand to each other: what a parent holds, what a stage freezes of it, what a finished
// run is sampled from. Each is absent where there is none.
import type {NamedTensors} from '../../checkpoints/index.ts';
import type {ScheduleConfig} from '../../src/diffusion/index.ts';
import type {
  AutoencoderConfig,
  ConditionsConfig,
  TextEncoderConfig,
  TokenizerFiles,
  TokenizerOptions,
  UNetConfig,
} from '../../src/models/index.ts';
import type {DiffusionSettings} from '../../src/weights/model_folder.ts';

export type {DiffusionSettings};
export type Weights = NamedTensors<Float32Array>;

/** A network's configuration and all its weights, in main memory. */
export interface HostModel<Config> {
  readonly config: Config;
  readonly weights: Weights;
}

/** A text encoder and the tokenizer that belongs to it. */
export interface HostText extends HostModel<TextEncoderConfig> {
  readonly tokenizer: TokenizerFiles;
  readonly tokenizerOptions: TokenizerOptions;
}

/** How often conditions are left out in training: all together, and each alone. */
export interface DropRates {
  readonly all: number;
  readonly text: number;
  readonly labels: number;
  readonly boxes: number;
  readonly fps: number;
}

/** What a diffusion model is conditioned on; before it is trained, only the weights of a text encoder that is given. */
export interface HostConditions extends HostModel<ConditionsConfig> {
  readonly drop: DropRates;
  /** Whether an image stage trains the text encoder. */
  readonly textTrains: boolean;
}

export interface UpsamplingSettings {
  /** How many times smaller the low-resolution video is, each side. */
  readonly factor: number;
  /** Noise levels are drawn from 0 to this in training. */
  readonly maxNoiseLevel: number;
  /** Of the low-resolution video's noise; its timesteps are the levels. */
  readonly schedule: Required<ScheduleConfig>;
}

export interface Parts {
  readonly autoencoder?: HostModel<AutoencoderConfig> | undefined;
  /** The diffusion model; its configuration has `temporal` where it is a video model. */
  readonly unet?: HostModel<UNetConfig> | undefined;
  /** Absent: an unconditional model. */
  readonly conditions?: HostConditions | undefined;
  /** The text encoder of imported models; a run has it within its conditions. */
  readonly text?: HostText | undefined;
  /** The text of the temporal layers, where it is not that of the spatial ones. */
  readonly temporalText?: HostText | undefined;
  /** latents = rawLatents x this; unknown before it is measured. */
  readonly scaleFactor?: number | undefined;
  /** How the UNet was trained, and so how it must be sampled and trained further. */
  readonly diffusion?: DiffusionSettings | undefined;
  /** How an imported upsampler's low-resolution input is noised. */
  readonly lowResolution?: DiffusionSettings | undefined;
  /** How an upsampler sees the low-resolution video. */
  readonly upsampling?: UpsamplingSettings | undefined;
}

/** The parts that are networks. */
export const networkNames = [
  'autoencoder',
  'unet',
  'conditions',
  'text',
  'temporalText',
] as const satisfies readonly (keyof Parts)[];
export type NetworkName = (typeof networkNames)[number];

/** How messages call a part. */
export const partLabels = {
  autoencoder: 'autoencoder',
  unet: 'UNet',
  conditions: 'conditions',
  text: 'text encoder',
  temporalText: "temporal layers' text encoder",
  scaleFactor: 'scale factor of its latents',
  diffusion: 'noise schedule',
  lowResolution: 'noise schedule of the low-resolution input',
  upsampling: 'way of seeing the low-resolution video',
} as const satisfies Record<keyof Parts, string>;
