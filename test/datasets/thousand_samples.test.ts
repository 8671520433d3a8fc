// A thousand samples of which a hundred are bad in ten ways: the run goes on and exactly those are listed, each once however
// often it is met; or the first one stops it. And the same data from a server that misbehaves.
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {type BadSampleReport, batches, type DataConfig, openVideoEncoder} from '../../datasets/index.ts';
import {type Fault, type HostileServer, startServer} from '../../packages/webdataset-ts/test/hostile_server.ts';
import {badSampleLog} from '../../trainers/inputs/data.ts';
import {bytesOf, have, type Members, scratch, shardsOf} from './fixtures.ts';

const MINUTES = 60_000;
const size = {frames: 4, fps: 8, width: 16, height: 16};

/** A file with sound alone, where ffmpeg can make one; else a file that says it is one. */
function soundOnly(): Uint8Array {
  if (!have.ffmpeg) return bytesOf('franck.mp4').subarray(0, 2000);
  const file = path.join(scratch(), 'sound.mp4');
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'sine=d=1', '-c:a', 'aac', file]);
  return readFileSync(file);
}

describe.skipIf(!have['node-av'])('a thousand samples (skipped where node-av is not installed)', () => {
  let shards: string[];
  const reasons = new Map<string, string>();

  beforeAll(async () => {
    const encoder = await openVideoEncoder('node-av');
    const video = (frames: number, width: number, height: number) =>
      encoder!.encode(
        {
          data: new Uint8Array(frames * width * height * 3).map((_, i) => (i * 7919) % 97),
          shape: [frames, height, width, 3],
        },
        {container: 'mp4', fps: 8, purpose: 'training'},
      );
    const mp4 = await video(8, 32, 32);
    const wide = await sharp({create: {width: 30_000, height: 2, channels: 3, background: '#777'}})
      .png()
      .toBuffer();
    const box = '{"boxes": [{"frame": 0, "xyxy": [1, 2, NaN, 4], "class": "car"}]}';
    const bad: [name: string, members: Members, reason: string][] = [
      ['truncated', {mp4: mp4.subarray(0, mp4.length - 3000)}, 'truncated'],
      ['empty', {mp4: new Uint8Array()}, 'empty'],
      ['html', {jpg: '<!doctype html><html>Not found</html>'}, 'unreadable'],
      ['sound', {mp4: soundOnly()}, have.ffmpeg ? 'noVideo' : 'unreadable'],
      ['single', {mp4: await video(1, 32, 32)}, 'tooShort'],
      ['odd', {mp4: await video(8, 33, 5)}, 'tooSmall'],
      ['wide', {png: wide}, 'tooLarge'],
      ['caption', {mp4, txt: Buffer.from([0x61, 0xc3, 0x28])}, 'badCaption'],
      ['box', {mp4, json: box}, 'badMetadata'],
      ['alone', {txt: 'no video'}, 'missingMember'],
    ];
    const samples = Array.from({length: 1000}, (_, n): readonly [string, Members] => {
      const [name, members, reason] = bad[Math.floor(n / 10) % 10]!;
      if (n % 10 !== 7) return [`good-${n}`, {mp4, json: '{"fps": 8}', txt: 'noise'}];
      reasons.set(`${name}-${n}`, reason);
      return [`${name}-${n}`, members];
    });
    shards = await shardsOf(samples, 250);
    expect(reasons.size).toBe(100);
  }, MINUTES);

  test(
    'go on over the hundred bad ones, which are listed once with shard, key and reason',
    async () => {
      const file = path.join(scratch(), 'bad-samples.jsonl');
      const config: DataConfig = {...size, shards, batchSize: 20, onBadSample: 'skip', decoders: 2};
      const keys = new Map<string, number>();
      for (const resumed of [false, true]) {
        const log = badSampleLog(file);
        let batch = 0;
        for await (const {keys: own} of batches(config, {seed: resumed ? 2 : 1, onBadSample: log})) {
          for (const key of own) keys.set(key, (keys.get(key) ?? 0) + 1);
          if (++batch === 45) break;
        }
      }
      expect(keys.size).toBe(900);
      expect([...keys.values()].every(count => count === 2)).toBe(true);
      const lines = readFileSync(file, 'utf8').trim().split('\n');
      const listed = lines.map(line => JSON.parse(line) as BadSampleReport);
      expect(listed).toHaveLength(100);
      expect(new Map(listed.map(({key, reason}) => [key, reason]))).toEqual(reasons);
      for (const {shard, key, detail} of listed) {
        expect(readFileSync(shard).includes(key)).toBe(true);
        expect(detail.length).toBeGreaterThan(10);
      }
    },
    2 * MINUTES,
  );

  test('stop at the first one when that is asked for', async () => {
    const config: DataConfig = {
      ...size,
      shards: shards[0]!,
      batchSize: 1,
      shuffle: 0,
      prefetch: 0,
      onBadSample: 'stop',
    };
    const seen: string[] = [];
    const run = async () => {
      for await (const {keys} of batches(config, {seed: 1})) seen.push(...keys);
    };
    await expect(run()).rejects.toThrow(/^Sample truncated-7 of shard .*made-000000\.tar: /);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6].map(n => `good-${n}`));
  });

  describe('from a server', () => {
    let server: HostileServer;
    beforeAll(async () => {
      const files = new Map(shards.map((shard, n) => [`${n}.tar`, new Uint8Array(readFileSync(shard))]));
      server = await startServer(files);
    });
    afterAll(() => server.close());

    const faults: Fault[] = [
      'stall in the body',
      'cut',
      '503',
      'length too large',
      'hang up',
      'length too small',
      'cut',
    ];

    test.each(['streamed', 'through the cache', 'through a cache smaller than the shards'])(
      '%s: stalls, cuts, 503 and wrong lengths; every sample exactly once, also resumed in the middle',
      async way => {
        const folder = path.join(scratch(), 'cache');
        const whole = readFileSync(shards[0]!).length;
        const maxBytes = way === 'through the cache' ? 100 * whole : 1.5 * whole;
        const config: DataConfig = {
          ...size,
          shards: server.url('{0..3}.tar'),
          batchSize: 25,
          repeat: false,
          onBadSample: 'skip',
          decoders: 2,
          http: {retries: 6, retryDelay: 1, stallTimeout: 300},
          ...(way === 'streamed' ? {} : {cache: {folder, maxBytes: Math.round(maxBytes), ahead: 1}}),
        };
        const keys: string[] = [];
        const bad = new Set<string>();
        const onBadSample = ({key}: BadSampleReport) => bad.add(key);
        let position: Parameters<typeof batches>[1]['resume'];
        for (const part of ['first', 'rest']) {
          server.faults = [...faults, ...faults];
          server.after = 40_000;
          for await (const batch of batches(config, {
            seed: 1,
            onBadSample,
            ...(position === undefined ? {} : {resume: position}),
          })) {
            keys.push(...batch.keys);
            position = batch.position;
            if (part === 'first' && keys.length >= 400) break;
          }
        }
        expect(keys).toHaveLength(900);
        expect(new Set(keys).size).toBe(900);
        expect(bad).toEqual(new Set(reasons.keys()));
      },
      MINUTES,
    );
  });
});
