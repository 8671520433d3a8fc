// Conditions -> tokens and numbers: absent is a value of its own, unknown names are refused by name.
import {beforeAll, expect, test} from 'vitest';
import {openEngine} from '../../src/engine/index.ts';
import {ConditionEncoder, type Conditions, type ConditionsConfig, UNet, WordTokenizer} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {random, tinyTemporal, tinyUNet} from './tiny.ts';

const encoder = {vocabulary: 64, tokens: 6, channels: 6, hidden: 12, layers: 1, heads: 2, activation: 'gelu'} as const;
const config: ConditionsConfig = {
  dim: 6,
  text: {encoder: {...encoder, endToken: 63}, tokenizer: {kind: 'words'}},
  labels: {night: {values: [0, 1]}, crowdedness: {upTo: [0, 3]}},
  boxes: {classes: ['car', 'person'], max: 3},
  fps: true,
};
const full: Conditions = {
  text: 'a square moves left',
  labels: {night: 1, crowdedness: 7},
  boxes: [{class: 'person', corners: [0, 0.25, 0.5, 1]}],
  fps: 8,
};
let model: ConditionEncoder;
beforeAll(async () => {
  await openEngine('cpu');
  model = new ConditionEncoder(config).allocate(3);
});

const values = (conditions: Conditions) =>
  tf.tidy(() => {
    const {context, addedNumbers} = model.encode([conditions]);
    return {context: [...context!.dataSync()], fps: addedNumbers!.dataSync()[0], shape: context!.shape};
  });

test('text, labels and boxes are tokens in this order, the frame rate a number', () => {
  const {shape, fps, context} = values(full);
  expect(shape).toEqual([1, 6 + 2 + 3, 6]);
  expect(fps).toBe(8);
  const labelRows = tf.tidy(() =>
    ['night', 'crowdedness'].map(name => model.namedWeights().get(`labels.${name}.weight`)!),
  );
  expect(context.slice(36, 42)).toEqual([...labelRows[0]!.dataSync().slice(2 * 6, 3 * 6)]);
  expect(context.slice(42, 48)).toEqual([...labelRows[1]!.dataSync().slice(3 * 6, 4 * 6)]);
});

test('each condition moves its own tokens and nothing else; left out is the same as dropped', () => {
  const all = values(full).context;
  const moved = (other: Conditions) =>
    values(other).context.flatMap((value, i) => (value === all[i] ? [] : [Math.floor(i / 6)]));
  const tokens = (list: number[]) => [...new Set(list)];
  const {text: _, ...noText} = full;
  expect(Math.max(...moved(noText))).toBeLessThan(6);
  expect(tokens(moved({...full, labels: {crowdedness: 7}}))).toEqual([6]);
  expect(tokens(moved({...full, boxes: []}))).toEqual([8]);
  expect(tokens(moved({...full, boxes: undefined}))).toEqual([8, 9, 10]);
  expect(values({...full, fps: undefined}).fps).toBe(0);
  expect(values({}).context).toEqual(values({text: ''}).context);
});

test('a batch is its rows, and a frozen encoder run beforehand gives the same tokens', () => {
  const rows = [full, {}, full, {text: 'else'}];
  const tokens = model.encode(rows).context!;
  const before = model.encodeText(
    model.tensorsOf(rows),
    rows.map(row => row.text),
  );
  expect(before.ids).toBeUndefined();
  expect([...model.forward(before).context!.dataSync()]).toEqual([...tokens.dataSync()]);
  for (const [i, row] of rows.entries()) {
    const alone = values(row).context;
    const own = [...tf.slice(tokens, [i, 0, 0], [1, -1, -1]).dataSync()];
    for (const [j, value] of own.entries()) expect(value).toBeCloseTo(alone[j]!, 5);
  }
});

test.each<[Conditions, RegExp]>([
  [{labels: {weather: 1}}, /no label "weather": its labels are night, crowdedness/],
  [{labels: {night: 2}}, /"night" has no value "2": its values are 0, 1/],
  [{labels: {crowdedness: 'many'}}, /"crowdedness" is a number/],
  [{boxes: [{class: 'dog', corners: [0, 0, 1, 1]}]}, /no boxes of class "dog": its classes are car, person/],
  [{boxes: [{class: 'car', corners: [0, 0, 2, 1]}]}, /in shares of the frame/],
  [
    {boxes: Array.from({length: 4}, () => ({class: 'car', corners: [0, 0, 1, 1]}))},
    /4 boxes, but this model takes at most 3/,
  ],
  [{fps: -1}, /frame rate must be from 0 to 1000/],
])('%j is refused', (conditions, message) => expect(() => model.encode([conditions])).toThrow(message));

test('what a model was not trained with is refused by name', () => {
  const textOnly = new ConditionEncoder({dim: 6, ...(config.text ? {text: config.text} : {})});
  expect(() => textOnly.tensorsOf([{labels: {night: 1}}])).toThrow(/not trained with labels: it knows text/);
  expect(() => textOnly.tensorsOf([{fps: 8}])).toThrow(/not trained with a frame rate/);
  expect(() => new ConditionEncoder({...config, dim: 8})).toThrow(/gives 6 channels, but unet.crossAttentionDim is 8/);
});

test('a UNet takes what the encoder gives', () => {
  const unet = new UNet({...tinyUNet, addedNumbers: {count: 1, dim: 8}, temporal: tinyTemporal}).allocate(1);
  const shape = tf.tidy(
    () =>
      unet.forward({
        latents: random<tf.Rank.R5>(2, 3, 4, 4, 4),
        timesteps: tf.tensor1d([5, 9], 'int32'),
        ...model.encode([full, {}]),
      }).shape,
  );
  expect(shape).toEqual([2, 3, 4, 4, 4]);
});

test('words are hashed the same way everywhere', () => {
  const tokenizer = new WordTokenizer({vocabulary: 1024, length: 8});
  expect([...tokenizer.encodePadded('A square, moving LEFT')]).toEqual([
    ...tokenizer.encodePadded('a square , moving left'),
  ]);
  expect(tokenizer.encodePadded('')).toEqual(Int32Array.of(1022, 1023, 1023, 1023, 1023, 1023, 1023, 1023));
  expect(tokenizer.encodePadded('one two three four five six seven eight').at(-1)).toBe(1023);
});
