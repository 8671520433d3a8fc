// The configuration of every stage, closed over the stage's name: one strict schema each, in stages/.
import type {z} from 'zod';
import type {commonShape} from './common.ts';
import {type AutoencoderStageConfig, autoencoderStage} from './stages/autoencoder.ts';
import {type DecoderStageConfig, decoderStage} from './stages/decoder.ts';
import {type ImageStageConfig, imageStage} from './stages/image.ts';
import {type InterpolationStageConfig, interpolationStage} from './stages/interpolation.ts';
import {type PredictionStageConfig, predictionStage} from './stages/prediction.ts';
import {type TemporalStageConfig, temporalStage} from './stages/temporal.ts';
import {type UpsamplerStageConfig, upsamplerStage} from './stages/upsampler.ts';
import {type UpsamplerImageStageConfig, upsamplerImageStage} from './stages/upsampler_image.ts';

export type {
  AutoencoderStageConfig,
  DecoderStageConfig,
  ImageStageConfig,
  InterpolationStageConfig,
  PredictionStageConfig,
  TemporalStageConfig,
  UpsamplerImageStageConfig,
  UpsamplerStageConfig,
};

export const stageSchemas = {
  autoencoder: autoencoderStage,
  image: imageStage,
  temporal: temporalStage,
  decoder: decoderStage,
  prediction: predictionStage,
  interpolation: interpolationStage,
  'upsampler-image': upsamplerImageStage,
  upsampler: upsamplerStage,
} satisfies Record<string, z.ZodType>;

export type StageName = keyof typeof stageSchemas;
export const stageNames = Object.keys(stageSchemas) as StageName[];

export type StageConfig =
  | AutoencoderStageConfig
  | ImageStageConfig
  | TemporalStageConfig
  | PredictionStageConfig
  | InterpolationStageConfig
  | DecoderStageConfig
  | UpsamplerImageStageConfig
  | UpsamplerStageConfig;
/** What the shared loop needs of any stage's configuration. */
export type CommonConfig = Pick<StageConfig, keyof typeof commonShape | 'stage'>;
