// A whole sampling pipeline as YAML: which run makes the key frames, goes on from them, fills in between, decodes, enlarges;
// and how to sample. Strict, like the configurations of training.
import {z} from 'zod';
import {UserError} from '../platform/user_error.ts';
import {fromParent} from './common.ts';
import {parseStrict, readBounded} from './load.ts';

const count = z.int().min(1);
const text = z.string().max(10_000);

/** What is asked for and how it is sampled: in a pipeline's file, at the command line, and beside every video made. */
export const samplingSchema = z.strictObject({
  prompt: text.optional(),
  negativePrompt: text.optional().describe('what to keep away from; the empty text where absent'),
  labels: z.record(z.string().max(200), z.union([z.string().max(200), z.number()])).optional(),
  boxes: z
    .array(
      z.strictObject({
        class: z.union([z.string().max(200), z.number()]),
        corners: z.tuple([z.number(), z.number(), z.number(), z.number()]).describe('left, top, right, bottom, 0 to 1'),
      }),
    )
    .max(1000)
    .optional(),
  image: z.string().min(1).optional().describe('the first frame, for a pipeline with a prediction model'),
  fps: z.number().positive().max(240).optional().describe('of the key frames; as trained when absent'),
  frames: count.max(100_000).optional().describe('before interpolation; as trained when absent'),
  size: z
    .tuple([count.max(8192), count.max(8192)])
    .optional()
    .describe('before the upsampler; as trained when absent'),
  interpolate: z.int().min(0).max(2).optional().describe('how many times the rate grows fourfold; 2 when absent'),
  sampler: z.enum(['ddim', 'euler', 'dpmpp_2m']).default('ddim'),
  steps: count.max(1000).default(50),
  guidance: z.number().min(0).max(100).optional().describe('1 is none; 7.5 with a prompt, else 1, when absent'),
  contextGuidance: z.number().min(0).max(100).default(1).describe('towards given frames; 1 is none'),
  window: count.max(10_000).optional().describe('frames that attention over time sees on either side'),
  decodeFrames: count.max(1024).default(8).describe('frames decoded at a time'),
  upsampleSteps: count.max(1000).optional().describe('as steps when absent'),
  upsampleFrames: count.max(1024).default(8).describe('frames enlarged at a time'),
  noiseLevel: z.int().min(0).max(999).optional().describe("of the upsampler's low-resolution input"),
  memory: count
    .max(1 << 20)
    .default(4096)
    .describe('MiB that decoding may take'),
});
export type Sampling = z.infer<typeof samplingSchema>;
export type SamplingInput = z.input<typeof samplingSchema>;

/** The parts of a pipeline by the run (or checkpoint, or model folder) that each comes from. */
export const partsShape = {
  keyFrames: fromParent.describe('an image or temporal run'),
  spatial: fromParent.optional().describe("an image run whose spatial layers take the place of the key frame model's"),
  prediction: fromParent.optional(),
  interpolation: fromParent.optional(),
  decoder: fromParent.optional(),
  upsampler: fromParent.optional(),
};

export const pipelineSchema = z.strictObject({
  pipeline: z.literal('video'),
  ...partsShape,
  sampling: samplingSchema.prefault({}),
});
export type Pipeline = z.infer<typeof pipelineSchema>;
export type PipelineParts = Omit<Pipeline, 'pipeline' | 'sampling'>;

/** @throws UserError naming file, line and key. */
export function loadPipeline(file: string): Pipeline {
  return parseStrict(readBounded(file), file, value => {
    const {pipeline, stage} = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
    if (pipeline === undefined)
      throw new UserError(
        `${file}: "pipeline: video" is missing: ${stage === undefined ? "expected a pipeline's file" : 'this is a configuration of training, sample from the run it made'}.`,
      );
    return pipelineSchema;
  });
}

/** Settings of the command line over those of a pipeline. @throws UserError naming the option and what it must be. */
export function mergeSampling(pipeline: SamplingInput, own: Partial<SamplingInput>): Sampling {
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  const parsed = samplingSchema.safeParse({...pipeline, ...given});
  if (parsed.success) return parsed.data;
  const {path, message} = parsed.error.issues[0]!;
  const [name = '', ...inner] = path.map(String);
  const option = name.replace(/[A-Z]/g, capital => `-${capital.toLowerCase()}`);
  const value = JSON.stringify(given[name as keyof typeof given]);
  const where = inner.length > 0 ? ` (at ${inner.join('.')})` : '';
  throw new UserError(`--${option} ${value}: ${message.charAt(0).toLowerCase()}${message.slice(1)}${where}.`);
}
