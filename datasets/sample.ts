// From the members of one shard sample to what decoding needs, each check naming what is wrong.
import type {JsonValue, Sample} from 'webdataset-ts';
import {streamOf, uniforms} from '../src/random/index.ts';
import {BadSample} from './bad_sample.ts';
import type {DataConfig} from './batch.ts';
import {type ClipWanted, imageExtensions, videoExtensions} from './media.ts';

/** A sample whose members are there and readable; its media are still bytes. */
export interface CheckedSample {
  key: string;
  shard: string;
  media: Uint8Array;
  extension: string;
  caption: string | undefined;
  metadata: {[key: string]: JsonValue};
}

/** Members that are read; a video goes before an image of the same key. */
const mediaExtensions: readonly string[] = [...videoExtensions, ...imageExtensions];
export const memberExtensions: readonly string[] = [...mediaExtensions, 'txt', 'json'];

const maxTextBytes = 2 ** 20;

/** @throws BadSample that says which member is missing or what is wrong with it. */
export function checkSample(sample: Sample, config: DataConfig): CheckedSample {
  const {key, shard, members} = sample;
  const extension = mediaExtensions.find(name => members[name] !== undefined);
  const media = extension === undefined ? undefined : members[extension];
  if (extension === undefined || media === undefined) {
    const there = Object.keys(members).join(', ') || 'none';
    throw new BadSample(
      'missingMember',
      `There is no video or image member (${mediaExtensions.join(', ')}); found: ${there}.`,
    );
  }
  const caption = members.txt === undefined ? undefined : textOf(members.txt, 'badCaption', 'caption');
  if (caption === undefined && config.captions === 'required') {
    throw new BadSample('missingMember', 'There is no caption: KEY.txt is required.');
  }
  return {key, shard, media, extension, caption, metadata: members.json === undefined ? {} : metadataOf(members.json)};
}

function textOf(bytes: Uint8Array, reason: 'badCaption' | 'badMetadata', what: string): string {
  if (bytes.byteLength > maxTextBytes) {
    throw new BadSample(reason, `The ${what} has ${bytes.byteLength} bytes; at most ${maxTextBytes} are read.`);
  }
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch {
    throw new BadSample(reason, `The ${what} is not UTF-8 text.`);
  }
}

function metadataOf(bytes: Uint8Array): {[key: string]: JsonValue} {
  const text = textOf(bytes, 'badMetadata', 'metadata');
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new BadSample('badMetadata', `The metadata are not JSON: ${error instanceof Error ? error.message : error}.`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new BadSample('badMetadata', 'The metadata are not a JSON object.');
  }
  return value;
}

/**
 * What to cut out of the sample, a function of (seed, epoch, key): where in time and space the clip lies.
 * Without `at` it is the middle in all three, unmirrored, as held-out clips are.
 */
export function clipWanted(config: DataConfig, key: string, at: {seed: number; epoch: number} | undefined): ClipWanted {
  const {frames, fps, width, height, minSide = 8, decodeTimeoutMs = 120_000} = config;
  const random = {start: 0.5, x: 0.5, y: 0.5, mirror: 0};
  if (at !== undefined) {
    const u = uniforms({seed: at.seed, stream: streamOf(`clip/${key}`), step: at.epoch}, 4);
    random.start = u[0]!;
    if (config.crop === 'random') Object.assign(random, {x: u[1]!, y: u[2]!});
    if (config.flip === true) random.mirror = u[3]!;
  }
  return {frames, fps, width, height, minSide, timeoutMs: decodeTimeoutMs, random};
}
