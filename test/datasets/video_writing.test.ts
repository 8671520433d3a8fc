// Videos and contact sheets to files: what is written reads back, nothing is replaced, a missing encoder is said aloud.
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {describe, expect, test} from 'vitest';
import {
  findComment,
  openVideoEncoder,
  openVideoReader,
  videoEngines,
  writeContactSheet,
  writeVideo,
} from '../../datasets/index.ts';
import {difference, have, haveAny, scratch} from './fixtures.ts';

/** A smooth pattern that moves; `side` by `side + 2`. */
function frames(count = 6, side = 32) {
  const width = side + 2;
  const data = new Uint8Array(count * side * width * 3);
  for (let n = 0, i = 0; n < count; n++) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < width; x++) {
        data[i++] = 128 + 100 * Math.sin((x + 2 * n) / 7);
        data[i++] = 128 + 100 * Math.cos((y - n) / 9);
        data[i++] = 40 + 3 * x;
      }
    }
  }
  return {data, shape: [count, side, width, 3] as const};
}

for (const engine of videoEngines) {
  describe.skipIf(!have[engine])(`${engine} encoder (skipped where it is not installed)`, () => {
    test.each([
      ['mp4', 'training', 1.5],
      ['webm', 'training', 2.5],
      ['mp4', 'preview', 3],
      ['webm', 'preview', 6],
    ] as const)('%s for %s reads back', async (container, purpose, tolerance) => {
      const encoder = await openVideoEncoder(engine);
      const shown = frames();
      const bytes = await encoder!.encode(shown, {container, fps: 7.5, purpose});
      expect(await encoder!.encode(shown, {container, fps: 7.5, purpose})).toEqual(bytes);
      const video = await (await openVideoReader(engine)).open(bytes);
      expect(video.info).toMatchObject({width: 34, height: 32});
      expect(video.info.fps).toBeCloseTo(7.5, 1);
      const back = new Uint8Array(shown.data.length);
      await video.clip({start: 0, fps: 7.5, frames: 6, width: 34, height: 32}, back);
      video.close();
      expect(difference(back, shown.data)).toBeLessThan(tolerance);
    });

    test('odd sizes are padded for a preview and kept for training', async () => {
      const encoder = await openVideoEncoder(engine);
      const odd = {data: new Uint8Array(2 * 17 * 19 * 3).fill(99), shape: [2, 17, 19, 3] as const};
      const sizeOf = async (purpose: 'preview' | 'training') => {
        const video = await (await openVideoReader(engine)).open(
          await encoder!.encode(odd, {container: 'mp4', fps: 8, purpose}),
        );
        video.close();
        return [video.info.width, video.info.height];
      };
      expect(await sizeOf('preview')).toEqual([20, 18]);
      expect(await sizeOf('training')).toEqual([19, 17]);
    });
  });
}

test.each([
  ['webp', 3],
  ['gif', 12],
] as const)('an animated %s has every frame and its rate', async (ending, tolerance) => {
  const file = path.join(scratch(), `clip.${ending}`);
  const shown = frames();
  expect(await writeVideo(file, shown, 8)).toBe(file);
  const meta = await sharp(file, {pages: -1}).metadata();
  expect(meta).toMatchObject({pages: 6, width: 34, pageHeight: 32});
  for (const delay of meta.delay ?? []) expect(Math.abs(delay - 125)).toBeLessThanOrEqual(5);
  const back = await sharp(file, {pages: -1}).removeAlpha().raw().toBuffer();
  expect(difference(back, shown.data)).toBeLessThan(tolerance);
});

test.each(['webp', 'gif', 'png', ...(haveAny ? ['mp4', 'webm'] : [])])(
  'a comment is found again in %s',
  async ending => {
    const value = {prompt: 'a "quoted" {brace} \\u00e9', list: Array.from({length: 100}, (_, i) => i)};
    const comment = `video-ldm:${JSON.stringify(value)}`;
    const file = path.join(scratch(), `clip.${ending}`);
    const written = await writeVideo(file, frames(), 8, {comment});
    const [seen, plain] =
      ending === 'png' ? [path.join(written, '0003.png'), undefined] : [written, `${file}.${ending}`];
    expect(JSON.parse(findComment(seen, 'video-ldm:')!)).toEqual(value);
    if (ending !== 'mp4' && ending !== 'webm') await sharp(seen, {pages: -1}).stats();
    if (!plain) return;
    await writeVideo(plain, frames(), 8);
    expect(findComment(plain, 'video-ldm:')).toBeUndefined();
  },
);

test('PNG frames are a folder, exact', async () => {
  const file = path.join(scratch(), 'clip.png');
  const shown = frames(3);
  const folder = await writeVideo(file, shown, 8);
  expect(readdirSync(folder).sort()).toEqual(['0000.png', '0001.png', '0002.png']);
  const second = await sharp(path.join(folder, '0001.png')).raw().toBuffer();
  expect(difference(second, shown.data.subarray(second.length, 2 * second.length))).toBe(0);
  expect(await writeVideo(file, shown, 8, {onNote: () => {}})).toBe(`${folder}-1`);
});

test('an earlier file stays as it is', async () => {
  const folder = scratch();
  const file = path.join(folder, 'clip.webp');
  writeFileSync(file, 'mine');
  const notes: string[] = [];
  const written = await writeVideo(file, frames(2), 8, {onNote: note => notes.push(note)});
  expect(written).toBe(path.join(folder, 'clip-1.webp'));
  expect(notes).toEqual([`${file} is there already; the video was written to ${written}.`]);
  expect(readFileSync(file, 'utf8')).toBe('mine');
  expect(readdirSync(folder).sort()).toEqual(['clip-1.webp', 'clip.webp']);
});

test.skipIf(!haveAny)('mp4 is written where there is an encoder (skipped where there is none)', async () => {
  const file = path.join(scratch(), 'a', 'b', 'clip.mp4');
  expect(await writeVideo(file, frames(), 8)).toBe(file);
  expect(readFileSync(file).subarray(4, 8).toString()).toBe('ftyp');
});

test('without an encoder an mp4 becomes a webp, said aloud', async () => {
  const folder = scratch();
  const before = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    expect(await openVideoEncoder('auto')).toSatisfy(encoder => encoder === undefined || have['node-av']);
    await expect(openVideoEncoder('ffmpeg')).rejects.toThrow(/The video encoder ffmpeg does not work here/);
    const notes: string[] = [];
    const options = {encoder: null, onNote: (note: string) => notes.push(note)};
    const written = await writeVideo(path.join(folder, 'clip.mp4'), frames(2), 8, options);
    expect(written).toBe(path.join(folder, 'clip.webp'));
    expect(notes[0]).toMatch(/There is no mp4 encoder here .* was written instead of/);
    expect(existsSync(path.join(folder, 'clip.mp4'))).toBe(false);
  } finally {
    process.env.PATH = before;
  }
});

test('a name with another ending is refused', async () => {
  await expect(writeVideo(path.join(scratch(), 'clip.avi'), frames(1), 8)).rejects.toThrow(/must end in \.mp4, \.webm/);
  const wrong = {data: new Uint8Array(5), shape: [1, 2, 2, 3] as const};
  await expect(writeVideo(path.join(scratch(), 'clip.webp'), wrong, 8)).rejects.toThrow(/cannot have 5 bytes/);
});

test('a contact sheet shows each frame in its place, with words before it', async () => {
  const file = path.join(scratch(), 'sheet.png');
  const shown = {data: new Uint8Array(3 * 8 * 8 * 3), shape: [3, 8, 8, 3] as const};
  for (let n = 0; n < 3; n++) shown.data.fill(60 + n * 60, n * 192, (n + 1) * 192);
  const rows = [{frames: shown}, {frames: shown, label: 'step <100> & "more"'}];
  expect(await writeContactSheet(file, rows, {cellHeight: 16, gap: 2})).toBe(file);
  const {data, info} = await sharp(file).removeAlpha().raw().toBuffer({resolveWithObject: true});
  const left = Math.min(420, 16 + 8 * rows[1]!.label!.length);
  expect([info.width, info.height]).toEqual([left + 3 * 18 + 2, 2 * 18 + 2]);
  for (let row = 0; row < 2; row++) {
    for (let n = 0; n < 3; n++) {
      const at = ((2 + row * 18 + 8) * info.width + left + 2 + n * 18 + 8) * info.channels;
      expect(data[at]).toBe(60 + n * 60);
    }
  }
  const words = data.subarray(20 * info.width * 3, 36 * info.width * 3);
  expect(Math.max(...words.filter((_, i) => i % (info.width * 3) < left * 3))).toBeGreaterThan(120);
});

test.skipIf(!have['node-av'])(
  'the same frames give the same bytes, over and over (skipped without node-av)',
  async () => {
    const encoder = await openVideoEncoder('node-av');
    const shape = [8, 48, 64, 3] as const;
    const data = new Uint8Array(8 * 48 * 64 * 3).map((_, i) => (i * 7919) % 251);
    const encode = () => encoder!.encode({data, shape}, {container: 'mp4', fps: 8, purpose: 'training'});
    const first = Buffer.from(await encode());
    for (let n = 0; n < 20; n++) expect(first.equals(await encode())).toBe(true);
  },
);
