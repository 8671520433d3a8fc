// TensorBoard's event files, decoded here by their wire format: checksums, steps, scalars, images, restarts.
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {BinaryReader} from '@bufbuild/protobuf/wire';
import sharp from 'sharp';
import {afterAll, expect, test} from 'vitest';
import {openLog} from '../../trainers/run/logging.ts';
import {MAX_IMAGE_BYTES, openEventFile} from '../../trainers/run/tensorboard/event_file.ts';
import {crc32c} from '../../trainers/run/tensorboard/tfrecord.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-tensorboard-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));

/** Field numbers to values: submessages and text stay bytes. */
type Message = Map<number, (number | bigint | Uint8Array)[]>;

function decode(bytes: Uint8Array): Message {
  const reader = new BinaryReader(bytes);
  const message: Message = new Map();
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const values = message.get(field) ?? [];
    message.set(field, values);
    if (wire === 0) values.push(Number(reader.int64()));
    else if (wire === 1) values.push(reader.double());
    else if (wire === 2) values.push(reader.bytes());
    else if (wire === 5) values.push(reader.float());
    else throw new Error(`wire type ${wire}`);
  }
  return message;
}

/** Splits a file into records; both checksums are checked. */
function records(file: string): Message[] {
  const bytes = readFileSync(file);
  const found: Message[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmask(bytes.readUInt32LE(at + 8))).toBe(crc32c(bytes.subarray(at, at + 8)));
    expect(unmask(bytes.readUInt32LE(at + 12 + length))).toBe(crc32c(data));
    found.push(decode(data));
    at += 16 + length;
  }
  return found;
}

function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

const bytesOf = (message: Message, field: number): Uint8Array[] => (message.get(field) ?? []) as Uint8Array[];
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

function scalarsOf(event: Message): Record<string, unknown> {
  const values = bytesOf(event, 5).flatMap(summary => bytesOf(decode(summary), 1).map(decode));
  return Object.fromEntries(values.map(value => [text(bytesOf(value, 1)[0]), value.get(2)?.[0]]));
}

test('CRC-32C of the standard vectors', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
});

test('a log writes scalars and images, and a resumed one says where it goes on', async () => {
  const files = {
    log: path.join(folder, 'log.jsonl'),
    metrics: path.join(folder, 'metrics.jsonl'),
    tensorboard: path.join(folder, 'tensorboard'),
  };
  const png = path.join(folder, 'sheet.png');
  const pixels = await sharp({create: {width: 5, height: 3, channels: 3, background: 'red'}})
    .png()
    .toBuffer();
  writeFileSync(png, pixels);
  const log = openLog(files, {style: 'json', steps: 9, firstStep: 4});
  log.metrics('train', 5, {loss: 0.25, 'loss.t125': -2});
  await log.images('preview', 5, [png, path.join(folder, 'clip.mp4')]);
  await log.close();

  const [name = ''] = readdirSync(files.tensorboard);
  expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
  const [version, start, scalars, image] = records(path.join(files.tensorboard, name)) as [
    Message,
    Message,
    Message,
    Message,
  ];
  expect(text(bytesOf(version, 3)[0])).toBe('brain.Event:2');
  expect(Math.abs((version.get(1)![0] as number) - Date.now() / 1000)).toBeLessThan(60);
  expect(start.get(2)).toEqual([5]);
  expect(decode(bytesOf(start, 7)[0]!).get(1)).toEqual([1]);
  expect(scalars.get(2)).toEqual([5]);
  expect(scalarsOf(scalars)).toEqual({'train/loss': 0.25, 'train/loss.t125': -2});
  const value = decode(bytesOf(decode(bytesOf(image, 5)[0]!), 1)[0]!);
  expect(text(bytesOf(value, 1)[0])).toBe('preview');
  const picture = decode(bytesOf(value, 4)[0]!);
  expect([picture.get(1), picture.get(2), picture.get(3)]).toEqual([[3], [5], [3]]);
  expect(Buffer.from(bytesOf(picture, 4)[0]!).equals(pixels)).toBe(true);
});

test('an image that is too large is left out, and no folder is made where it is not wanted', async () => {
  const events = openEventFile(path.join(folder, 'large'), 0);
  const before = readFileSync(events.path).length;
  const png = new Uint8Array(MAX_IMAGE_BYTES + 1);
  expect(events.image(1, {tag: 'preview', width: 1, height: 1, png})).toBe(false);
  expect(readFileSync(events.path).length).toBe(before);
  const files = {log: path.join(folder, 'l'), metrics: path.join(folder, 'm'), tensorboard: path.join(folder, 'none')};
  const log = openLog(files, {style: 'json', steps: 1, firstStep: 0, tensorboard: false});
  log.metrics('train', 1, {loss: 1});
  await log.close();
  expect(existsSync(files.tensorboard)).toBe(false);
});
