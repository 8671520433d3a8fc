// Hostile shards, metadata and latents by the hundred: each is a named error or a listed bad sample; no crash, no hang, no
// memory beyond a bound. FUZZ_CASES says how many of each kind; FUZZ_SEED repeats a failure.
import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {readShards, WebDatasetError} from 'webdataset-ts';
import {BadSample} from '../../datasets/bad_sample.ts';
import {type ResolvedData, resolveData} from '../../datasets/data_config.ts';
import {type DecodePool, openDecodePool} from '../../datasets/decode_pool.ts';
import {latentsBytes, textBytes} from '../../datasets/latent_sample.ts';
import {readyClip} from '../../datasets/ready_clip.ts';
import {memberExtensions} from '../../datasets/sample.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {uniforms} from '../../src/random/index.ts';
import {type Members, scratch, shardsOf} from './fixtures.ts';

const MINUTES = 60_000;
const cases = Number(process.env.FUZZ_CASES ?? 200);
const seed = Number(process.env.FUZZ_SEED ?? 1);
/** What all of it together may add to the process, beside the engine. */
const memoryBound = 512 * 2 ** 20;

let pool: DecodePool;
let png: Uint8Array;
let tar: Uint8Array;
let data: ResolvedData;
const encoder = 'a'.repeat(64);
const record = {encoder, preprocessing: 'b'.repeat(64), height: 16, width: 16, fps: 8, frames: 3};
const outcomes = new Map<string, number>();
let before = 0;

/** Whole numbers below `below`, a stream of its own for each case. */
function dice(kind: string, n: number): (below: number) => number {
  let at = 0;
  let block: Float32Array = new Float32Array();
  return below => {
    if (at % 256 === 0) block = uniforms({seed, stream: 'synthetic', step: n, offset: at + kind.length * 2 ** 20}, 256);
    return Math.floor(block[at++ % 256]! * below);
  };
}

beforeAll(async () => {
  png = await sharp({create: {width: 16, height: 16, channels: 3, background: '#456'}})
    .png()
    .toBuffer();
  const json = JSON.stringify({night: 1, boxes: [{frame: 0, xyxy: [1, 2, 3, 4], class: 'car'}]});
  const [shard] = await shardsOf(Array.from({length: 6}, (_, n) => [`s${n}`, {png, txt: 'a caption', json}] as const));
  tar = readFileSync(shard!);
  data = resolveData({
    shards: shard!,
    frames: 1,
    width: 16,
    height: 16,
    batchSize: 1,
    latents: {encoder},
    text: {encoder},
  });
  pool = openDecodePool({threads: 1, slots: 2, clipBytes: 768, engine: 'auto'});
  before = process.memoryUsage.rss();
});
afterAll(async () => {
  await pool.close();
  console.log(`outcomes: ${JSON.stringify(Object.fromEntries(outcomes))}`);
});

const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);

/** Reads one shard as training does; anything but a named error is thrown. */
async function read(shard: string): Promise<void> {
  const began = Date.now();
  try {
    const onError = (error: WebDatasetError) => {
      count(`shard: ${error.code}`);
    };
    for await (const sample of readShards({urls: [shard], extensions: memberExtensions, onError})) {
      try {
        const clip = await readyClip(sample, data, data.sources[0]!, pool, {seed, epoch: 0});
        count('good');
        clip.release();
      } catch (error) {
        if (error instanceof BadSample) count(`sample: ${error.reason}`);
        else if (error instanceof UserError) count('run: refused');
        else throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof WebDatasetError)) throw error;
    count(`run: ${error.code}`);
  }
  expect(Date.now() - began).toBeLessThan(20_000);
}

/** Fifty cases a shard, made when their turn comes: the test's own memory is not what is measured. */
async function readAll(membersOf: (n: number) => Members): Promise<void> {
  for (let first = 0; first < cases; first += 50) {
    const numbers = Array.from({length: Math.min(50, cases - first)}, (_, n) => first + n);
    const [shard] = await shardsOf(numbers.map(n => [`s${n}`, membersOf(n)] as const));
    await read(shard!);
    rmSync(shard!);
  }
}

function bounded(): void {
  const grown = process.memoryUsage.rss() - before;
  count(`MiB more: ${Math.round(grown / 2 ** 20)}`);
  expect(grown).toBeLessThan(memoryBound);
}

test(`${cases} hostile tars`, {timeout: 10 * MINUTES}, async () => {
  const file = path.join(scratch(), 'hostile.tar');
  for (let n = 0; n < cases; n++) {
    const roll = dice('tar', n);
    const bytes = Buffer.from(tar);
    const header = () => 512 * roll(bytes.length / 512);
    const resum = (at: number) => {
      bytes.write('        ', at + 148);
      const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148);
    };
    /** Writes into a header, whose checksum then fits again. */
    const write = (text: string, at: number, offset: number) => {
      bytes.write(text, at + offset, 'latin1');
      resum(at);
    };
    for (let change = roll(4); change >= 0; change--) {
      const at = header();
      const kinds = [
        () => bytes.fill(roll(256), at, at + 1),
        () => bytes.fill(roll(256), at, Math.min(bytes.length, at + roll(2000))),
        () => write(['77777777777', '00000000000', '-0000000001', '99999999999'][roll(4)]!, at, 124),
        () => write('\xff'.repeat(12), at, 124),
        () => write(['x', 'L', 'g', 'K', 'S', '5', '2', '\0'][roll(8)]!, at, 156),
        () => write(['../../etc/x.png', '/abs.png', 's0.png', '.', 'a\0b.png'][roll(5)]!, at, 0),
        () => bytes.copy(bytes, header(), at, Math.min(bytes.length, at + 512 * roll(6))),
      ];
      kinds[roll(kinds.length)]!();
    }
    writeFileSync(file, roll(3) === 0 ? bytes.subarray(0, roll(bytes.length)) : bytes);
    await read(file);
  }
  bounded();
});

test(`${cases} hostile JSONs`, {timeout: 10 * MINUTES}, async () => {
  const json = (n: number): string | Uint8Array => {
    const roll = dice('json', n);
    const deep = (open: string, close: string) => open.repeat(100_000) + close.repeat(roll(2) * 100_000);
    const odd = [
      'null',
      'true',
      '[]',
      '{}',
      '"x"',
      '1e999',
      '-1',
      'NaN',
      '1e-400',
      '"\\ud800"',
      '99999999999999999999',
    ];
    const value = () => odd[roll(odd.length)]!;
    const kinds = [
      () => deep('[', ']'),
      () => deep('{"a":', '}'),
      () => `{"boxes": [${Array(200_000).fill('0').join()}]}`,
      () => `{"boxes": [{"frame": ${value()}, "xyxy": [${value()}, 1, ${value()}, 2], "class": ${value()}}]}`,
      () => `{"night": ${value()}, "crowdedness": ${value()}, "fps": ${value()}}`,
      () => `{"__proto__": {"night": 1}, "constructor": ${value()}, "night": 0}`,
      () => `{"latents": ${value()}}`,
      () => value(),
      () => Buffer.from(Array.from({length: roll(300)}, () => roll(256))),
      () => `{"a": "${'x'.repeat(2_000_000)}"}`,
      () => '{"night": 1'.slice(0, roll(12)),
    ];
    return kinds[roll(kinds.length)]!();
  };
  await readAll(n => ({png, json: json(n)}));
  bounded();
});

test(`${cases} hostile latents and embeddings`, {timeout: 10 * MINUTES}, async () => {
  const values = new Float32Array(3 * 2 * 2 * 4).map((_, i) => i / 7);
  const latents = latentsBytes({mean: values, logvar: values, shape: [3, 2, 2, 4]});
  const text = textBytes({hidden: values, shape: [4, 12]}, encoder);
  const altered = (bytes: Uint8Array, roll: (below: number) => number): Uint8Array => {
    const copy = Buffer.from(bytes);
    const lengths = [0, 1, 2 ** 31, 2 ** 40, 9_007_199_254_740_991];
    const replaced = (from: string, to: string) => Buffer.from(copy.toString('latin1').replace(from, to), 'latin1');
    const kinds = [
      () => copy.subarray(0, roll(copy.length)),
      () => copy.fill(roll(256), roll(copy.length)),
      () => Buffer.concat([copy, Buffer.alloc(roll(5000))]),
      () => replaced('F16', ['F32', 'I64', 'F64', 'BOO'][roll(4)]!),
      () => replaced('[3,2,2,4]', ['[3,2,2,0]', '[9,9,9,9]'][roll(2)]!),
      () => copy.fill(0x7c, copy.length - 8), // not finite
      () => Buffer.alloc(0),
      () => {
        copy.writeBigUInt64LE(BigInt(lengths[roll(lengths.length)]!));
        return copy;
      },
    ];
    return kinds[roll(kinds.length)]!();
  };
  await readAll(n => {
    const roll = dice('latents', n);
    const odd = [-1, 0, 1e9, 2.5, '8', null][roll(6)];
    const own = roll(3) === 0 ? {...record, [['fps', 'frames', 'width', 'encoder'][roll(4)]!]: odd} : record;
    return {
      'latents.safetensors': roll(3) === 0 ? latents : altered(latents, roll),
      'text.safetensors': roll(3) === 0 ? altered(text, roll) : text,
      json: JSON.stringify({latents: own}),
    };
  });
  expect(outcomes.get('good')).toBeGreaterThan(0);
  expect(outcomes.get('sample: badLatents')).toBeGreaterThan(0);
  bounded();
});
