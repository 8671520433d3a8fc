// WebVid's table and RDS's labels to shards: captions, labels and boxes end up with the right clips.
import {copyFileSync, mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {readShards} from 'webdataset-ts';
import {csvRows} from '../../datasets/csv.ts';
import {shardRds, shardWebvid} from '../../datasets/index.ts';
import {clip, have, scratch} from './fixtures.ts';

const size = {frames: 4, fps: 5, width: 30, height: 30, maxClipsPerVideo: 2};

async function samples(output: string, part = 'train') {
  const found = [];
  for await (const {key, members} of readShards({urls: path.join(output, `${part}-000000.tar`)})) {
    found.push({
      key,
      caption: members.txt && Buffer.from(members.txt).toString(),
      json: JSON.parse(Buffer.from(members.json!).toString()),
    });
  }
  return found;
}

test('CSV rows keep commas, quotes and line breaks of quoted fields', async () => {
  const file = path.join(scratch(), 'table.csv');
  writeFileSync(file, '\ufeffid,name\r\n1,"a, ""b""\nc"\r\n\r\n2,"",\n'.replace('"",', '""'));
  const rows = [];
  for await (const row of csvRows(file)) rows.push(row);
  expect(rows).toEqual([
    {id: '1', name: 'a, "b"\nc'},
    {id: '2', name: ''},
  ]);
  const read = async (text: string) => {
    writeFileSync(file, text);
    for await (const _ of csvRows(file));
  };
  await expect(read('id,name\n1,x\n2,y,z\n')).rejects.toThrow(/line 3: 2 fields were expected \(id, name\), found 3/);
  await expect(read('id,name\n1,"x\n2,y\n')).rejects.toThrow(/quote opened on line 2 is not closed/);
});

describe.skipIf(!have['node-av'])('sources of shards (skipped where node-av is not installed)', () => {
  test('WebVid: captions from the table, rows without a file listed, no way out of the folder', async () => {
    const [videos, output] = [scratch(), path.join(scratch(), 'out')];
    mkdirSync(path.join(videos, '000_001'));
    copyFileSync(clip('cap13_edit2.mp4'), path.join(videos, '000_001', '11.mp4'));
    copyFileSync(clip('cap13_edit2.mp4'), path.join(videos, '12.mp4'));
    copyFileSync(clip('cap13_edit2.mp4'), path.join(path.dirname(videos), '13.mp4'));
    const csv = path.join(scratch(), 'results.csv');
    const rows = [
      'videoid,contentUrl,duration,page_dir,name',
      '11,https://x/11.mp4,PT00H00M30S,000_001,"A man, talking"',
      '12,https://x/12.mp4,PT00H00M30S,000_002,Another man',
      '13,https://x/13.mp4,PT00H00M30S,../,Outside',
      '14,https://x/14.mp4,PT00H00M30S,000_002,Missing',
    ];
    writeFileSync(csv, rows.join('\n'));
    const report = await shardWebvid({...size, csv, videos, output});
    expect(report.bad.map(({source, reason}) => [source, reason])).toEqual([
      ['13.mp4', 'missingMember'],
      ['14.mp4', 'missingMember'],
    ]);
    const found = await samples(output);
    expect(found.map(({caption}) => caption)).toEqual([
      'A man, talking',
      'A man, talking',
      'Another man',
      'Another man',
    ]);
    expect(found[0]?.json).toMatchObject({
      videoid: '11',
      name: 'A man, talking',
      page_dir: '000_001',
      fps: 5,
      duration: 0.8,
    });
    // Another table, by its columns; its files have their endings.
    writeFileSync(csv, 'video,caption,aesthetic score\n12.mp4,"A man, again",5.1\n../13.mp4,Outside,4\n');
    const columns = {id: 'video', caption: 'caption'};
    const other = await shardWebvid({...size, csv, videos, output: `${output}3`, columns});
    expect(other.bad.map(({reason}) => reason)).toEqual(['missingMember']);
    expect((await samples(`${output}3`))[0]).toMatchObject({
      caption: 'A man, again',
      json: {video: '12.mp4', videoid: '12.mp4'},
    });
    writeFileSync(csv, 'id,text\n1,x\n');
    await expect(shardWebvid({...size, csv, videos, output: `${output}2`})).rejects.toThrow(
      /must have the columns videoid and name/,
    );
  });

  test('RDS: boxes follow the crop and the frames; wrong labels are named', async () => {
    const [input, output] = [scratch(), path.join(scratch(), 'out')];
    const add = (name: string, labels: string | undefined) => {
      copyFileSync(clip('cap13_edit2.mp4'), path.join(input, `${name}.mp4`));
      if (labels !== undefined) writeFileSync(path.join(input, `${name}.json`), labels);
    };
    const box = (frame: number, xyxy: number[]) => ({frame, xyxy, class: 'car'});
    // 400x300 at 25 fps: the crop is 300x300 from x = 50, a clip's frame is every fifth, and its pixels are 10 of the source.
    const boxes = [
      box(0, [100, 50, 200, 150]),
      box(5, [0, 0, 100, 100]),
      box(6, [100, 50, 200, 150]),
      box(10, [0, 0, 60, 100]),
      box(25, [60, 10, 90, 40]),
    ];
    add('good', JSON.stringify({fps: 25, night: 1, crowdedness: 3, boxes}));
    add('nan', '{"night": 0, "boxes": [{"frame": 0, "xyxy": [NaN, 0, 1, 1], "class": "car"}]}');
    add('null', '{"night": 0, "boxes": [{"frame": 0, "xyxy": [null, 0, 1, 1], "class": "car"}]}');
    add('dusk', '{"night": 0.5}');
    add('none', undefined);
    const report = await shardRds({...size, input, output});
    expect(report.bad.map(({source, reason}) => [source, reason])).toEqual([
      ['dusk.mp4', 'badMetadata'],
      ['nan.mp4', 'badMetadata'],
      ['none.mp4', 'missingMember'],
      ['null.mp4', 'badMetadata'],
    ]);
    const [first, second] = await samples(output);
    expect(first?.json).toMatchObject({night: 1, crowdedness: 3});
    expect(first?.json.boxes).toEqual([
      {frame: 0, xyxy: [5, 5, 15, 15], class: 'car'},
      {frame: 1, xyxy: [0, 0, 5, 10], class: 'car'},
    ]);
    // The second clip begins at 0.8 s, frame 20; its second frame is the 25th.
    expect(second?.json.boxes).toEqual([{frame: 1, xyxy: [1, 1, 4, 4], class: 'car'}]);
  });
});
