// Reading speed of an uncompressed shard: this package beside tar-stream, alternating, medians. Not a test: run it on a
// quiet machine. `npx tsx packages/webdataset-ts/scripts/bench.ts [runs]`, after `npx tsc -b packages/webdataset-ts`.
import {createReadStream} from 'node:fs';
import {mkdtemp, rm, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {extract} from 'tar-stream';
import {openShardWriter, readShards} from 'webdataset-ts';

const runs = Number(process.argv[2] ?? 7);

async function writeShard(path: string, samples: number, memberBytes: number): Promise<void> {
  const writer = openShardWriter({path: () => path});
  const video = new Uint8Array(memberBytes).map((_, index) => index * 31);
  for (let index = 0; index < samples; index++) {
    await writer.write({key: String(index).padStart(6, '0'), members: {mp4: video, json: {index}}});
  }
  await writer.close();
}

/** Reads every byte with tar-stream, as `for await` over entries and their chunks; returns the bytes of data. */
async function withTarStream(path: string): Promise<number> {
  let bytes = 0;
  for await (const entry of createReadStream(path).pipe(extract())) {
    for await (const chunk of entry) bytes += (chunk as Uint8Array).length;
  }
  return bytes;
}

/** The same with whole members in memory, which is what a sample needs. */
async function withTarStreamWhole(path: string): Promise<number> {
  let bytes = 0;
  for await (const entry of createReadStream(path).pipe(extract())) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry) chunks.push(chunk as Uint8Array);
    bytes += Buffer.concat(chunks).length;
  }
  return bytes;
}

async function withReadShards(path: string): Promise<number> {
  let bytes = 0;
  for await (const {members} of readShards({urls: path})) {
    for (const member of Object.values(members)) bytes += member.length;
  }
  return bytes;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

const folder = await mkdtemp(join(tmpdir(), 'webdataset-bench-'));
try {
  for (const [samples, memberBytes] of [
    [3000, 48_000],
    [300, 480_000],
    [40_000, 1_000],
  ] as const) {
    const path = join(folder, `${memberBytes}.tar`);
    await writeShard(path, samples, memberBytes);
    const megabytes = (await stat(path)).size / 1e6;
    const readers = {
      'tar-stream': withTarStream,
      'tar-stream, whole members': withTarStreamWhole,
      'webdataset-ts': withReadShards,
    };
    const wall: Record<string, number[]> = {};
    const cpu: Record<string, number[]> = {};
    const read = new Set<number>();
    for (let run = -1; run < runs; run++) {
      for (const [name, reader] of Object.entries(readers)) {
        const start = performance.now();
        const used = process.cpuUsage();
        read.add(await reader(path));
        const seconds = (performance.now() - start) / 1000;
        const {user, system} = process.cpuUsage(used);
        if (run < 0) {
          wall[name] = []; // the first round only warms up
          cpu[name] = [];
        } else {
          wall[name]!.push(megabytes / seconds);
          cpu[name]!.push((megabytes * 1e6) / (user + system));
        }
      }
    }
    if (read.size !== 1) throw new Error(`the readers disagree on the bytes: ${[...read].join(', ')}`);
    console.log(`${samples} samples of ${memberBytes} + some bytes, ${megabytes.toFixed(0)} MB, ${runs} runs; MB/s:`);
    const base = {
      wall: median(wall['tar-stream']!),
      cpu: median(cpu['tar-stream']!),
      best: Math.max(...wall['tar-stream']!),
    };
    for (const name of Object.keys(readers)) {
      const found = {wall: median(wall[name]!), cpu: median(cpu[name]!), best: Math.max(...wall[name]!)};
      const cells = (['wall', 'best', 'cpu'] as const).map(
        what =>
          `${what === 'wall' ? 'median' : what} ${found[what].toFixed(0).padStart(5)} (${((100 * found[what]) / base[what]).toFixed(0).padStart(3)} %)`,
      );
      console.log(`  ${name.padEnd(26)} ${cells.join('  ')}`);
    }
  }
} finally {
  await rm(folder, {recursive: true});
}
