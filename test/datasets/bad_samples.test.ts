// Bad input is a named reason, not a crash: each way a sample can be bad, the policies, and that the good ones are unharmed.
import {readFileSync, writeFileSync} from 'node:fs';
import sharp from 'sharp';
import {beforeAll, describe, expect, test} from 'vitest';
import {type BadSampleReport, batches, type DataConfig, openVideoEncoder} from '../../datasets/index.ts';
import {have, type Members, scratch, shardsOf} from './fixtures.ts';

const picture = (width: number, height: number) =>
  sharp({create: {width, height, channels: 3, background: {r: 200, g: 100, b: 50}}});

/** Eight frames in which a bright square moves over noise. */
function movingSquare(frames = 8, side = 32): Uint8Array {
  const data = new Uint8Array(frames * side * side * 3);
  for (let i = 0; i < data.length; i++) data[i] = (i * 7919) % 64;
  for (let n = 0; n < frames; n++) {
    for (let y = 4; y < 12; y++) data.fill(255, ((n * side + y) * side + n) * 3, ((n * side + y) * side + n + 8) * 3);
  }
  return data;
}

async function read(config: DataConfig) {
  const reports: BadSampleReport[] = [];
  const keys: string[] = [];
  for await (const batch of batches(config, {seed: 1, onBadSample: report => reports.push(report)}))
    keys.push(...batch.keys);
  return {reports, keys};
}

describe.skipIf(!have['node-av'])('bad samples (skipped where node-av is not installed)', () => {
  let mp4: Uint8Array;
  let good: Members;
  beforeAll(async () => {
    const encoder = await openVideoEncoder('node-av');
    const frames = {data: movingSquare(), shape: [8, 32, 32, 3] as const};
    mp4 = await encoder!.encode(frames, {container: 'mp4', fps: 8, purpose: 'training'});
    good = {mp4, json: '{"fps": 8}', txt: 'a square moves'};
  });

  test('each is named with shard, key and reason, and the others arrive', async () => {
    const encoder = await openVideoEncoder('node-av');
    const single = {data: movingSquare(1), shape: [1, 32, 32, 3] as const};
    const tiny = {data: new Uint8Array(8 * 4 * 4 * 3), shape: [8, 4, 4, 3] as const};
    const options = {container: 'mp4', fps: 8, purpose: 'training'} as const;
    const bad: Record<string, [Members, string]> = {
      'truncated-tail': [{mp4: mp4.subarray(0, mp4.length - 1200)}, 'truncated'],
      'truncated-head': [{mp4: mp4.subarray(0, 300)}, 'unreadable'],
      empty: [{mp4: new Uint8Array(), txt: 'nothing'}, 'empty'],
      'html-jpg': [{jpg: '<!doctype html><html><body>Not found</body></html>'}, 'unreadable'],
      'html-mp4': [{mp4: '<!doctype html><html><body>Not found</body></html>'}, 'unreadable'],
      'single-frame': [{mp4: await encoder!.encode(single, options)}, 'tooShort'],
      still: [{png: await picture(40, 40).png().toBuffer()}, 'tooShort'],
      tiny: [{mp4: await encoder!.encode(tiny, options)}, 'tooSmall'],
      wide: [{png: await picture(30_000, 2).png().toBuffer()}, 'tooLarge'],
      caption: [{mp4, txt: Buffer.from([0x61, 0xff, 0xfe, 0x62])}, 'badCaption'],
      'caption-alone': [{txt: 'a caption without its video'}, 'missingMember'],
      metadata: [{mp4, json: '{"boxes": [[NaN, 1, 2, 3]]}'}, 'badMetadata'],
      list: [{mp4, json: '[1, 2]'}, 'badMetadata'],
    };
    const samples = Object.entries(bad).flatMap(([key, [members]], n) => [
      [`good-${n}`, good] as const,
      [key, members] as const,
    ]);
    const shards = await shardsOf(samples, 7);
    const config = {shards, frames: 4, fps: 8, width: 16, height: 16, batchSize: 3, repeat: false} as const;
    const {reports, keys} = await read({...config, onBadSample: 'skip', decoders: 2});
    const expected = Object.fromEntries(Object.entries(bad).map(([key, [, reason]]) => [key, reason]));
    expect(Object.fromEntries(reports.map(({key, reason}) => [key, reason]))).toEqual(expected);
    expect(reports).toHaveLength(Object.keys(bad).length);
    expect(keys.sort()).toEqual(
      Object.keys(bad)
        .map((_, n) => `good-${n}`)
        .sort(),
    );
    for (const {key, shard, detail} of reports) {
      expect(shards).toContain(shard);
      expect(detail.length).toBeGreaterThan(10);
      expect(readFileSync(shard).includes(key)).toBe(true);
    }
  });

  test('with "stop" (the default) the first one ends the run in a sentence', async () => {
    const shards = await shardsOf([
      ['a', good],
      ['b', {mp4: new Uint8Array()}],
    ]);
    const config = {shards, frames: 4, fps: 8, width: 16, height: 16, batchSize: 1, repeat: false, shuffle: 0};
    const seen: string[] = [];
    const run = async () => {
      for await (const batch of batches(config, {seed: 1})) seen.push(...batch.keys);
    };
    await expect(run()).rejects.toThrow(/^Sample b of shard .*made-000000\.tar: The file is empty\. Mend or remove it/);
    expect(seen).toEqual(['a']);
  });

  test('a required caption that is missing is a bad sample', async () => {
    const shards = await shardsOf([
      ['a', good],
      ['b', {mp4}],
    ]);
    const config = {
      shards,
      frames: 4,
      width: 16,
      height: 16,
      batchSize: 1,
      repeat: false,
      onBadSample: 'skip',
    } as const;
    expect((await read({...config, captions: 'required'})).reports.map(({key, reason}) => [key, reason])).toEqual([
      ['b', 'missingMember'],
    ]);
    expect((await read(config)).reports).toEqual([]);
  });

  test('a truncated shard is named, and what was whole in it is used', async () => {
    const [shard] = await shardsOf(Array.from({length: 6}, (_, n) => [`s${n}`, good] as const));
    const bytes = readFileSync(shard!);
    const cut = `${scratch()}/cut.tar`;
    writeFileSync(cut, bytes.subarray(0, Math.floor(bytes.length * 0.6)));
    const config = {shards: cut, frames: 4, width: 16, height: 16, batchSize: 2, repeat: false} as const;
    const {reports, keys} = await read({...config, onBadSample: 'skip'});
    expect(keys.length).toBeGreaterThan(1);
    expect(reports.length).toBeGreaterThan(0);
    expect(reports[0]).toMatchObject({shard: cut, reason: 'badShard'});
    await expect(read(config)).rejects.toThrow(/cut\.tar/);
  });
});

test('still images of every kind give clips of one frame, upright and without alpha', async () => {
  const half = await sharp({
    create: {width: 40, height: 20, channels: 4, background: {r: 250, g: 10, b: 10, alpha: 0.5}},
  });
  const grey = await sharp(Buffer.alloc(33 * 57, 90), {raw: {width: 33, height: 57, channels: 1}});
  // Stored lying on its side: the left half is dark; EXIF 6 turns it clockwise, so the dark half is on top.
  const side = Buffer.alloc(32 * 32 * 3, 240);
  for (let y = 0; y < 32; y++) side.fill(10, y * 96, y * 96 + 48);
  const turned = sharp(side, {raw: {width: 32, height: 32, channels: 3}}).withMetadata({orientation: 6});
  const shards = await shardsOf([
    ['a-alpha', {png: await half.png().toBuffer()}],
    ['b-grey', {png: await grey.png().toBuffer()}],
    ['c-jpeg', {jpg: await picture(31, 17).jpeg().toBuffer()}],
    ['d-turned', {jpg: await turned.jpeg({quality: 100}).toBuffer()}],
    ['e-webp', {webp: await picture(50, 50).webp({lossless: true}).toBuffer()}],
  ]);
  const config = {shards, frames: 1, width: 16, height: 16, batchSize: 5, repeat: false, shuffle: 0};
  for await (const batch of batches(config, {seed: 1})) {
    expect(batch.keys).toHaveLength(5);
    expect(batch.fps).toEqual([0, 0, 0, 0, 0]);
    const pixel = (n: number, x: number, y: number) =>
      Array.from(batch.frames.subarray((n * 256 + y * 16 + x) * 3).subarray(0, 3));
    expect(pixel(0, 8, 8)[0]).toBeGreaterThan(240);
    expect(pixel(1, 3, 3)).toEqual([90, 90, 90]);
    expect(pixel(3, 8, 1)[0]).toBeLessThan(40);
    expect(pixel(3, 8, 14)[0]).toBeGreaterThan(200);
    expect(pixel(4, 8, 8)).toEqual([200, 100, 50]);
  }
});

test('animated WebP clips need no video engine, and their frames are the right ones', async () => {
  const data = new Uint8Array(8 * 16 * 16 * 3);
  for (let n = 0; n < 8; n++) data.fill(n * 30, n * 768, (n + 1) * 768);
  const raw = {width: 16, height: 128, channels: 3, pageHeight: 16} as const;
  const webp = await sharp(data, {raw})
    .webp({lossless: true, delay: Array(8).fill(125), loop: 0})
    .toBuffer();
  const shards = await shardsOf([['clip', {webp}]]);
  const config = {shards, width: 16, height: 16, batchSize: 1, repeat: false};
  const starts = new Set<number>();
  for (let seed = 0; seed < 12; seed++) {
    for await (const batch of batches({...config, frames: 3, fps: 4}, {seed})) {
      const values = [0, 1, 2].map(n => batch.frames[n * 768]! / 30);
      expect(values[1]! - values[0]!).toBe(2);
      expect(values[2]! - values[1]!).toBe(2);
      expect(batch.fps).toEqual([4]);
      starts.add(values[0]!);
    }
  }
  expect([...starts].sort()).toEqual([0, 1, 2, 3]);
});
