// What a model is conditioned on, as written in YAML.
import {z} from 'zod';

const count = z.int().min(1);
const fraction = z.number().min(0).max(1);
const drop = fraction.default(0).describe('how often this condition alone is left out in training');
const value = z.union([z.string().min(1).max(200), z.number()]);
const name = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, 'a name of letters, digits, "_" and "-"');

/** A small text encoder, trained with the image model: words are hashed, so that nothing need be downloaded. */
const ownTextEncoder = z.strictObject({
  channels: count.max(4096),
  layers: count.max(48).default(2),
  heads: count.max(64).default(2),
  tokens: count.min(2).max(256).default(16).describe('longest text in words, start and end counted'),
  vocabulary: count.min(3).max(1_000_000).default(1024).describe('words are hashed into so many tokens'),
});

const label = z
  .strictObject({
    values: z.array(value).min(1).max(10_000).optional().describe('the classes'),
    upTo: z.array(z.number()).min(1).max(1000).optional().describe('ascending bounds of classes of numbers'),
  })
  .refine(({values, upTo}) => (values === undefined) !== (upTo === undefined), 'give values or upTo, one of them')
  .refine(({upTo = []}) => upTo.every((bound, i) => i === 0 || bound > upTo[i - 1]!), 'the bounds of upTo must ascend');

const text = z
  .strictObject({
    from: z.string().min(1).optional().describe('model folder with text_encoder/ and tokenizer/'),
    encoder: ownTextEncoder.optional(),
    train: z
      .boolean()
      .optional()
      .describe('whether the text encoder trains; default: only one that starts from nothing'),
    learningRate: z
      .number()
      .positive()
      .max(10)
      .optional()
      .describe(
        "of the text encoder where it trains, with the optimiser's warm-up and schedule; absent: the optimiser's",
      ),
    drop,
  })
  .refine(({from, encoder}) => from === undefined || encoder === undefined, 'give from or encoder, not both');

export const conditionsSchema = z.strictObject({
  drop: fraction.default(0.1).describe('how often all conditions are left out together in training'),
  tokenWidth: count
    .max(8192)
    .optional()
    .describe('of labels and boxes that are added to a model which attends to nothing yet'),
  text: text.optional(),
  labels: z
    .strictObject({drop, classes: z.record(name, label).describe('by the names that KEY.json gives them')})
    .optional(),
  boxes: z
    .strictObject({classes: z.array(value).min(1).max(10_000), max: count.max(1024).default(16), drop})
    .optional(),
  fps: z.strictObject({drop}).optional(),
});
export type ConditionsSection = z.infer<typeof conditionsSchema>;
