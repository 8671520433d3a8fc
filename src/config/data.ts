// The data section: shards, how they are mixed, and how clips are cut from them. Sizes in pixels, [height, width].
import {z} from 'zod';

const count = z.int().min(1);
const shards = z.string().min(1);
const rate = z.number().positive().max(240);
const size = z.tuple([count.max(8192), count.max(8192)]);

/** One part of a mixture; a plain list of shards is a mixture of one. */
export const sourceSchema = z.strictObject({
  shards: z.union([shards, z.array(shards).min(1)]).describe('paths, brace expressions, http(s): or s3: addresses'),
  weight: z.number().positive().default(1).describe("how often it is drawn from, relative to the others' weights"),
  kind: z.enum(['auto', 'images']).default('auto').describe('images: one frame of each video, as a still image'),
  fps: z
    .union([rate, z.array(rate).min(1)])
    .optional()
    .describe('instead of data.fps; of several one is drawn a sample'),
  caption: z.string().min(1).optional().describe('of samples that have none'),
});

/** Samples of one size and length make batches of their own; what is absent is as in `data`. */
export const bucketSchema = z.strictObject({
  frames: count.max(1024).optional().describe('1 is for still images'),
  size: size.optional(),
  batchSize: count.max(4096).optional(),
});

export const dataSchema = z.strictObject({
  train: z.array(z.union([shards, sourceSchema])).min(1),
  heldOut: z.array(shards).min(1),
  frames: count.max(1024).describe('T: frames of a clip; 1 for still images'),
  fps: rate.optional().describe('wanted frames per second; as stored when absent'),
  size,
  batchSize: count.max(4096),
  buckets: z.array(bucketSchema).min(1).optional().describe('instead of the one of frames, size and batchSize'),
  crop: z.enum(['center', 'random', 'patch']).default('center').describe('patch: a window of the size, unscaled'),
  flip: z.boolean().default(false).describe('mirror half of the clips'),
  captions: z.enum(['optional', 'required']).default('optional'),
  labels: z.array(z.string().min(1)).default(['night', 'crowdedness']).describe('whole numbers read from KEY.json'),
  shuffleWindow: count.max(100_000).default(256).describe('samples shuffled together'),
  workers: z.int().min(0).max(64).default(1).describe('decoding threads; the data are the same for any number'),
  onBadSample: z.enum(['stop', 'skip']).default('stop').describe('skip lists each in bad-samples.jsonl'),
  cache: z
    .strictObject({
      folder: z.string().min(1).describe('where remote shards are kept'),
      gigabytes: z.number().positive().describe('never more than this; the least recently used go first'),
      ahead: z.int().min(0).max(16).default(1).describe('shards fetched in advance'),
    })
    .optional(),
  http: z
    .strictObject({
      retries: z.int().min(0).max(1000).default(8).describe('attempts in a row without progress'),
      stallSeconds: z.number().positive().max(3600).default(30).describe('a silent connection is dropped after this'),
    })
    .prefault({}),
});
