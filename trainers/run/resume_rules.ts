// What of a configuration may change between a checkpoint and the run that resumes it.
import type {ConfigRule, JsonValue} from '../../checkpoints/index.ts';
import {DEFAULT_CONTEXT_CHANNELS, temporalSchema} from '../../src/config/models.ts';

const weights = 'the weights would not fit or not mean the same';

export const resumeRules: readonly ConfigRule[] = [
  {path: 'data.**', change: 'allowed'},
  {path: 'optimizer.**', change: 'allowed'},
  {path: 'train.**', change: 'allowed'},
  {path: 'loss.**', change: 'allowed'},
  {path: 'checkpoint.**', change: 'allowed'},
  {path: 'heldOut.**', change: 'allowed'},
  {path: 'preview.**', change: 'allowed'},
  {path: 'log.**', change: 'allowed'},
  {path: 'engine.**', change: 'allowed'},
  {path: 'run.root', change: 'allowed'},
  {path: 'run.name', change: 'allowed'},
  {path: 'run.seed', change: 'refused', why: 'the data order and the noise follow from it'},
  {path: 'from', change: 'refused', why: 'the frozen weights come from it'},
  {path: 'stage', change: 'refused', why: 'another stage trains other weights'},
  {path: 'autoencoder.**', change: 'refused', why: weights},
  {path: 'unet.**', change: 'refused', why: weights},
  {path: 'conditions.text.learningRate', change: 'allowed'},
  {path: 'conditions.**', change: 'refused', why: weights},
  {path: 'temporal.**', change: 'refused', why: weights},
  {path: 'context.given', change: 'allowed'},
  {path: 'context.drop', change: 'allowed'},
  {path: 'context.coarse', change: 'allowed'},
  {path: 'context.channels', change: 'refused', why: weights},
  {path: 'sees', change: 'refused', why: weights},
  {path: 'upsampling.**', change: 'refused', why: weights},
  {path: 'patch', change: 'allowed'},
  {path: 'trains', change: 'refused', why: weights},
  {path: 'overTime', change: 'refused', why: weights},
  {path: 'diffusion.**', change: 'refused', why: 'the network would be asked for something else'},
];

/**
 * A configuration as it is compared. Sections that may be left to the parent were once written out with their defaults: where
 * they are absent, their defaults stand here, so that runs of then are resumed.
 */
export function comparable(config: JsonValue): JsonValue {
  if (!isObject(config)) return config;
  const {stage} = config;
  if (stage === 'temporal' || stage === 'upsampler')
    return {...config, temporal: config.temporal ?? (temporalSchema.parse({}) as JsonValue)};
  if (stage !== 'prediction' && stage !== 'interpolation') return config;
  const context = isObject(config.context) ? config.context : {};
  return {...config, context: {channels: DEFAULT_CONTEXT_CHANNELS, ...context}};
}

function isObject(value: JsonValue | undefined): value is {readonly [key: string]: JsonValue} {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
