// The parts of a configuration that every stage has. One strict zod object each: an unknown key is an error.
import {z} from 'zod';
import {dataSchema} from './data.ts';

const count = z.int().min(1);
const fraction = z.number().min(0).max(1);

/** Where a run lives (`root/name`) and the seed from which all its random numbers follow. */
export const runSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'letters, digits, ".", "_" and "-" only')
    .describe('folder of the run below root'),
  root: z.string().min(1).default('runs'),
  seed: z.int().min(0).max(0xffffffff).default(0),
});

export const engineSchema = z.strictObject({
  name: z.enum(['auto', 'torch', 'node-gpu', 'wasm', 'cpu']).default('auto'),
  precision: z.enum(['fp32', 'tf32', 'bf16']).default('fp32'),
});

/** beta_1..beta_N of a forward process. `scaled_linear` is linear in sqrt(beta): what the LDM code base calls "linear". */
export const scheduleShape = {
  kind: z.enum(['linear', 'scaled_linear']).default('scaled_linear'),
  betaStart: z.number().positive().max(1).default(0.00085),
  betaEnd: z.number().positive().max(1).default(0.012),
  steps: count.max(100_000).default(1000),
  zeroTerminalSnr: z.boolean().default(false),
};

export const diffusionSchema = z
  .strictObject({
    schedule: z.strictObject(scheduleShape).prefault({}),
    prediction: z.enum(['eps', 'v']).default('eps'),
  })
  .refine(
    ({schedule, prediction}) => !schedule.zeroTerminalSnr || prediction === 'v',
    'with schedule.zeroTerminalSnr the last timestep holds no signal, from which eps says nothing: set prediction to v',
  );

/** AdamW (decoupled weight decay) with warm-up, clipping of the global norm and an EMA of the trained weights. */
export const optimizerSchema = z.strictObject({
  learningRate: z.number().positive().max(10),
  betas: z.tuple([fraction, fraction]).default([0.9, 0.999]),
  epsilon: z.number().positive().default(1e-8),
  weightDecay: z.number().min(0).default(0.01),
  clipNorm: z.number().positive().optional(),
  warmupSteps: z.int().min(0).default(0),
  schedule: z.enum(['constant', 'cosine']).default('constant'),
  emaDecay: fraction.default(0.999),
});

export const trainSchema = z.strictObject({
  steps: count,
  accumulate: count.max(256).default(1).describe('micro-batches of data.batchSize per update'),
  capture: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe('auto: steps are CUDA graphs on a GPU; off: they run one operation at a time'),
});

/** Of stages that train a UNet. */
export const unetTrainSchema = trainSchema.extend({
  gradientCheckpointing: z
    .union([z.boolean(), z.literal('all')])
    .default(false)
    .describe('true: transformers keep no activations and compute them again; all: residual blocks too'),
});

export const checkpointSchema = z
  .strictObject({
    every: count.default(1000),
    keepLast: count.default(2),
    keepEvery: count.optional().describe('also keep every checkpoint whose step is a multiple of this'),
    keepBest: z
      .strictObject({
        metric: z.string().min(1).default('loss').describe('a held-out figure, as metrics.jsonl names it'),
        mode: z.enum(['min', 'max']).default('min'),
        count: count.default(1),
      })
      .optional()
      .describe('also keep the best by a held-out figure; checkpoint.every is then a multiple of heldOut.every'),
  })
  .prefault({});

/** Held-out loss: the same clips, noise and timesteps every time. */
export const heldOutSchema = z
  .strictObject({
    every: count.default(1000),
    clips: count.max(10_000).default(8),
    timesteps: count.max(100).default(4).describe('quantiles of the timesteps, each its own figure'),
  })
  .prefault({});

export const previewSchema = z.strictObject({
  every: count,
  clips: count.max(64).default(4),
  samplerSteps: count.max(1000).default(25),
});

export const logSchema = z
  .strictObject({
    every: count.default(10),
    tensorboard: z.boolean().default(true).describe('event files in the run, beside metrics.jsonl'),
  })
  .prefault({});

export const fromParent = z
  .string()
  .min(1)
  .describe("folder of the parent run, of one of its checkpoints, or of an imported model (diffusers' layout)");

/** What every stage has besides its models. */
export const commonShape = {
  run: runSchema,
  engine: engineSchema.prefault({}),
  data: dataSchema,
  optimizer: optimizerSchema,
  train: trainSchema,
  checkpoint: checkpointSchema,
  heldOut: heldOutSchema,
  preview: previewSchema.optional(),
  log: logSchema,
};
