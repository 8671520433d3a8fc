// Several sources and several buckets: what comes is a function of seed and position alone, whatever waits in a bucket.
import sharp from 'sharp';
import {beforeAll, describe, expect, test} from 'vitest';
import {type BadSampleReport, batches, type DataConfig, type VideoBatch} from '../../datasets/index.ts';
import {type Members, shardsOf} from './fixtures.ts';

/** Every frame of a clip is of one grey: 10 x its number. */
async function clip(frames: number, width = 16, height = 16): Promise<Uint8Array> {
  const size = width * height * 3;
  const data = new Uint8Array(frames * size);
  for (let n = 0; n < frames; n++) data.fill(10 * n, n * size, (n + 1) * size);
  const raw = {width, height: height * frames, channels: 3, pageHeight: height} as const;
  return sharp(data, {raw})
    .webp({lossless: true, delay: Array(frames).fill(125), loop: 0})
    .toBuffer();
}

async function still(width = 16, height = 16): Promise<Uint8Array> {
  // Red counts columns, green rows.
  const data = new Uint8Array(width * height * 3).map((_, i) => {
    const pixel = Math.floor(i / 3);
    return i % 3 === 0 ? pixel % width : i % 3 === 1 ? Math.floor(pixel / width) : 0;
  });
  return sharp(data, {raw: {width, height, channels: 3}})
    .png()
    .toBuffer();
}

async function take(config: DataConfig, count: number, options: Partial<Parameters<typeof batches>[1]> = {}) {
  const taken: VideoBatch[] = [];
  for await (const batch of batches(config, {seed: 7, ...options})) {
    taken.push(batch);
    if (taken.length === count) break;
  }
  return taken;
}

const content = ({keys, shape, kind, frames, captions}: VideoBatch) =>
  `${kind} ${shape} ${keys} ${captions} ${Buffer.from(frames).toString('base64')}`;

let clips: string[];
let wide: string[];
let stills: string[];
let mixture: DataConfig;

beforeAll(async () => {
  const [square, short, broad, photo] = [await clip(8), await clip(4), await clip(6, 32, 16), await still()];
  const named = (prefix: string, count: number, members: Members) =>
    Array.from({length: count}, (_, n) => [`${prefix}${n}`, members] as const);
  clips = await shardsOf([...named('square', 9, {webp: square}), ...named('short', 2, {webp: short})], 4);
  wide = await shardsOf(named('wide', 5, {webp: broad, txt: 'broad'}), 3);
  stills = await shardsOf(named('still', 10, {png: photo}), 5);
  mixture = {
    shards: [{shards: clips, weight: 2}, {shards: wide}, {shards: stills, weight: 3, caption: 'a photo'}],
    frames: 4,
    fps: 8,
    width: 16,
    height: 16,
    batchSize: 2,
    buckets: [{frames: 6}, {}, {width: 32, frames: 6}, {frames: 1, batchSize: 4}],
    shuffle: 3,
  };
});

test('a batch is of one kind and one bucket, and every sample of an epoch comes exactly once', async () => {
  const all = await take({...mixture, repeat: false}, 1000);
  const keys = all.flatMap(batch => batch.keys);
  expect(keys).toHaveLength(26);
  expect(new Set(keys).size).toBe(26);
  for (const {kind, shape, keys, captions, frames} of all) {
    const prefixes = new Set(keys.map(key => key.replace(/\d+$/, '')));
    expect(prefixes.size).toBe(1);
    const [prefix] = prefixes;
    expect(kind).toBe(prefix === 'still' ? 'images' : 'clips');
    const wanted = {still: [1, 16, 16], square: [6, 16, 16], short: [4, 16, 16], wide: [6, 16, 32]}[prefix!];
    expect(shape.slice(1, 4)).toEqual(wanted);
    expect(frames).toHaveLength(shape.reduce((product, side) => product * side, 1));
    expect(captions[0]).toBe({still: 'a photo', wide: 'broad'}[prefix!]);
  }
});

test.each([1, 2, 4])('resumed after each batch with %d threads, the rest is the same', async decoders => {
  const config = {...mixture, repeat: false, decoders};
  const whole = await take(config, 1000);
  expect(whole.map(({position}) => (position as {waiting: unknown[]}).waiting.length).some(count => count > 1)).toBe(
    true,
  );
  for (const [n, {position}] of whole.entries()) {
    if (decoders > 1 && n % 3 !== 1) continue;
    const rest = await take(config, 1000, {resume: JSON.parse(JSON.stringify(position))});
    expect(rest.map(content)).toEqual(whole.slice(n + 1).map(content));
  }
});

test('resumed in the middle of the third epoch, the rest is the same, for each of 4 ranks', async () => {
  for (const rank of [0, 1, 2, 3]) {
    const part = {rank, worldSize: 4};
    const all = await take(mixture, 30, part);
    for (const n of rank === 0 ? [3, 14, 22] : [13 + rank]) {
      const rest = await take({...mixture, decoders: 2}, 29 - n, {...part, resume: all[n]!.position});
      expect(rest.map(content)).toEqual(all.slice(n + 1).map(content));
    }
  }
});

test('samples are drawn by the weights, and the draws are of the seed', async () => {
  const shares = async (seed: number) => {
    const keys = (await take(mixture, 120, {seed})).flatMap(batch => batch.keys);
    const share = (prefix: RegExp) => keys.filter(key => prefix.test(key)).length / keys.length;
    return [share(/^s[hq]/), share(/^wide/), share(/^still/)];
  };
  const [clipShare = 0, wideShare = 0, stillShare = 0] = await shares(1);
  expect(Math.abs(clipShare - 2 / 6)).toBeLessThan(0.08);
  expect(Math.abs(wideShare - 1 / 6)).toBeLessThan(0.08);
  expect(Math.abs(stillShare - 3 / 6)).toBeLessThan(0.08);
  expect(await shares(2)).not.toEqual(await shares(1));
});

test('a bucket too small to fill a batch is said aloud, and its samples are not lost', async () => {
  const notes: string[] = [];
  const options = {onNote: (note: string) => notes.push(note)};
  const config = {...mixture, shards: clips, batchSize: 3, buckets: [{frames: 6}, {}, {frames: 1}]};
  const keys = (await take(config, 20, options)).flatMap(batch => batch.keys);
  expect(notes).toEqual([
    'The bucket "4 frames of 16x16" got 2 samples in the first epoch, fewer than its batch of 3: they wait for the next epochs to fill it.',
    'The bucket "images of 16x16" got 0 samples in the first epoch, fewer than its batch of 3: nothing in the data fits it.',
  ]);
  expect(keys.filter(key => key.startsWith('short')).length).toBeGreaterThanOrEqual(3);
  notes.length = 0;
  const once = (await take({...config, repeat: false}, 20, options)).flatMap(batch => batch.keys);
  expect(once).toHaveLength(11);
  expect(notes[0]).toContain('got 2 samples in the first epoch, fewer than its batch of 3: its batch is smaller');
});

test('other shards, another shuffling or other ranks begin an epoch and say so; another batch size goes on', async () => {
  const config = {...mixture, shards: clips, buckets: [{}], batchSize: 2};
  const [, second] = await take(config, 2);
  const resume = second!.position;
  const after = async (changed: Partial<DataConfig>, part: object = {}) => {
    const notes: string[] = [];
    const [batch] = await take({...config, ...changed}, 1, {resume, onNote: note => notes.push(note), ...part});
    return {notes, epoch: (batch!.position as {sources: {epoch: number}[]}).sources[0]!.epoch, keys: batch!.keys};
  };
  expect(await after({shards: [...clips, ...wide]})).toMatchObject({
    epoch: 1,
    notes: [expect.stringMatching(/^Source 1 of the data .* is not what it was .*: its epoch 1 begins\.$/)],
  });
  expect(await after({shuffle: 5})).toMatchObject({epoch: 1, notes: [expect.stringContaining('is not what it was')]});
  expect(await after({}, {worldSize: 2, rank: 1})).toMatchObject({epoch: 1});
  const whole = (await take({...config, repeat: false}, 100)).flatMap(batch => batch.keys);
  const {notes, keys} = await after({batchSize: 5});
  expect([notes, keys]).toEqual([[], whole.slice(4, 9)]);
});

describe('what a clip is cut to', () => {
  const one = async (members: Members, config: Partial<DataConfig> = {}, seed = 1) => {
    const base = {width: 16, height: 16, frames: 1, batchSize: 1, repeat: false};
    const reports: BadSampleReport[] = [];
    const shards = await shardsOf([['x', members]]);
    const options = {seed, onBadSample: (report: BadSampleReport) => reports.push(report)};
    const [batch] = await take({...base, shards, onBadSample: 'skip', ...config}, 1, options);
    return {batch, reports};
  };

  test('a patch is a window of the source as it is, anywhere in it', async () => {
    const png = await still(40, 24);
    const corners = new Set<string>();
    for (let seed = 0; seed < 6; seed++) {
      const {batch} = await one({png}, {crop: 'patch'}, seed);
      const [x, y] = [batch!.frames[0]!, batch!.frames[1]!];
      corners.add(`${x},${y}`);
      for (let row = 0; row < 16; row++) {
        for (let column = 0; column < 16; column++) {
          const at = (row * 16 + column) * 3;
          expect([batch!.frames[at], batch!.frames[at + 1]]).toEqual([x + column, y + row]);
        }
      }
    }
    expect(corners.size).toBeGreaterThan(4);
    const small = await one({png: await still(12, 24)}, {crop: 'patch'});
    expect(small.reports).toMatchObject([{reason: 'tooSmall', detail: expect.stringContaining('16x16')}]);
  });

  test('one of several rates is drawn, and only one that the sample is long enough for', async () => {
    const webp = await clip(8);
    const rates = new Map<number, number>();
    for (let seed = 0; seed < 12; seed++) {
      const {batch} = await one({webp}, {frames: 3, fps: [2, 4, 8, 0.1]}, seed);
      const [fps] = batch!.fps;
      rates.set(fps!, (rates.get(fps!) ?? 0) + 1);
      const grey = [0, 1, 2].map(n => batch!.frames[n * 768]! / 10);
      expect([grey[1]! - grey[0]!, grey[2]! - grey[1]!]).toEqual([8 / fps!, 8 / fps!]);
    }
    expect([...rates.keys()].sort()).toEqual([4, 8]); // at 2 a second three frames need 9 of the 8 there are
  });

  test('a video may be taken for one of its frames', async () => {
    const shards = await shardsOf([['x', {webp: await clip(8)}]]);
    const config = {width: 16, height: 16, frames: 4, batchSize: 1, repeat: false, buckets: [{}, {frames: 1}]};
    const [batch] = await take({...config, shards: [{shards, kind: 'images'}]}, 1);
    expect([batch?.kind, batch?.shape]).toEqual(['images', [1, 1, 16, 16, 3]]);
  });

  test('boxes follow the crop, the rate, the start and the mirror', async () => {
    const boxes = [0, 1, 2, 3, 4, 5, 6, 7].map(frame => ({frame, xyxy: [8 + frame, 4, 16 + frame, 8], class: frame}));
    const members = {webp: await clip(8, 32, 16), json: JSON.stringify({fps: 8, night: true, crowdedness: 7, boxes})};
    const seen = new Set<string>();
    for (let seed = 0; seed < 10; seed++) {
      const {batch} = await one(members, {frames: 2, fps: 4, flip: true}, seed);
      const first = batch!.frames[0]! / 10;
      expect(batch!.labels).toEqual([{night: 1, crowdedness: 7}]);
      // The crop takes the columns 8 to 24 of 32.
      const plain = [first, first + 2].map((stored, frame) => {
        const [left, right] = [stored / 16, Math.min(1, (8 + stored) / 16)];
        return {frame, xyxy: [left, 0.25, right, 0.5], class: stored};
      });
      const mirrored = plain.map(box => {
        const [left = 0, top, right = 0, bottom] = box.xyxy;
        return {...box, xyxy: [1 - right, top, 1 - left, bottom]};
      });
      expect([plain, mirrored]).toContainEqual(batch!.boxes[0]);
      seen.add(JSON.stringify(batch!.boxes[0]) === JSON.stringify(plain) ? 'plain' : 'mirrored');
    }
    expect(seen.size).toBe(2);
  });

  test.each([
    ['a box of NaN', '{"boxes": [{"frame": 0, "xyxy": [NaN, 1, 2, 3], "class": "car"}]}', /holds NaN/],
    ['a box of null', '{"boxes": [{"frame": 0, "xyxy": [null, 1, 2, 3], "class": "car"}]}', /Box 0 must be/],
    ['an inverted box', '{"boxes": [{"frame": 0, "xyxy": [3, 1, 2, 3], "class": "car"}]}', /Box 0 must be/],
    ['boxes that are no list', '{"boxes": {"frame": 0}}', /"boxes" must be a list/],
    ['a label that is neither number nor text', '{"night": [1]}', /label "night" must be a whole number/],
    ['a negative label', '{"crowdedness": -3}', /label "crowdedness" must be a whole number/],
    ['nested beyond measure', `{"a": ${'['.repeat(200_000)}${']'.repeat(200_000)}, "night": 0.5}`, /night/],
  ])('%s is a bad sample', async (_name, json, expected) => {
    const {batch, reports} = await one({png: await still(), json});
    expect(batch).toBeUndefined();
    expect(reports).toMatchObject([{key: 'x', reason: 'badMetadata', detail: expect.stringMatching(expected)}]);
  });
});
