// The report on shards says what is in them, good and bad.
import path from 'node:path';
import sharp from 'sharp';
import {describe, expect, test} from 'vitest';
import {batches, inspectShards, openVideoEncoder} from '../../datasets/index.ts';
import {have, scratch, shardsOf} from './fixtures.ts';

describe.skipIf(!have['node-av'])('inspectShards (skipped where node-av is not installed)', () => {
  test('counts, measures, lists what is bad and draws a sheet', async () => {
    const encoder = await openVideoEncoder('node-av');
    const frames = {
      data: new Uint8Array(6 * 24 * 40 * 3).map((_, i) => (i * 31) % 200),
      shape: [6, 24, 40, 3] as const,
    };
    const mp4 = await encoder!.encode(frames, {container: 'mp4', fps: 12, purpose: 'training'});
    const png = await sharp({create: {width: 50, height: 60, channels: 3, background: '#336699'}})
      .png()
      .toBuffer();
    const shards = await shardsOf(
      [
        ['a', {mp4, txt: 'four'}],
        ['b', {mp4, txt: 'eight ch', json: '{"night": 1}'}],
        ['c', {mp4: mp4.subarray(0, mp4.length - 2500)}],
        ['d', {png}],
        ['e', {txt: 'alone'}],
      ],
      3,
    );
    const sheet = path.join(scratch(), 'sheet.png');
    const report = await inspectShards({shards, sheet});
    expect(report).toMatchObject({
      shards: 2,
      samples: 5,
      kinds: {mp4: 2, png: 1},
      sizes: {'40x24': 2, '50x60': 1},
      rates: {12: 2},
      duration: {total: 1, shortest: 0.5, longest: 0.5},
      frames: 13,
      captions: {with: 2, without: 1, meanLength: 6},
      labels: {night: {1: 1}},
      boxes: 0,
      encoders: {},
      sheet,
    });
    expect(report.bad.map(({key, reason}) => [key, reason])).toEqual([
      ['c', 'truncated'],
      ['e', 'missingMember'],
    ]);
    const drawn = await sharp(sheet).metadata();
    expect(drawn.height).toBe(3 * 66 + 2);
    expect((await inspectShards({shards, limit: 2})).samples).toBe(2);

    const config = {shards: shards[0]!, frames: 2, width: 16, height: 16, batchSize: 2, repeat: false, shuffle: 0};
    for await (const batch of batches({...config, onBadSample: 'skip'}, {seed: 1})) {
      expect(batch.metadata).toEqual([{}, {night: 1}]);
      expect(batch.captions).toEqual(['four', 'eight ch']);
    }
    await expect(inspectShards({shards: path.join(scratch(), 'none.tar')})).rejects.toThrow(/none\.tar/);
  });
});
