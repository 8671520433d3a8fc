// From the members of one shard sample to what decoding needs, each check naming what is wrong.
import type {JsonValue, Sample} from 'webdataset-ts';
import {streamOf, uniforms} from '../src/random/index.ts';
import {BadSample} from './bad_sample.ts';
import type {ClipWanted} from './clip_cut.ts';
import type {ResolvedData} from './data_config.ts';
import type {Metadata} from './labels.ts';
import {latentsMember, textMember} from './latent_sample.ts';
import {imageExtensions, videoExtensions} from './media.ts';

/** A sample whose members are there and readable; its media are still bytes. */
export interface CheckedSample {
  key: string;
  shard: string;
  /** A video, an image, or latents: see `extension`. */
  media: Uint8Array;
  extension: string;
  text: Uint8Array | undefined;
  caption: string | undefined;
  metadata: Metadata;
}

/** Members that are read; latents go before a video, a video before an image of the same key. */
const mediaExtensions: readonly string[] = [latentsMember, ...videoExtensions, ...imageExtensions];
export const memberExtensions: readonly string[] = [...mediaExtensions, textMember, 'txt', 'json'];

const maxTextBytes = 2 ** 20;

/** @throws BadSample that says which member is missing or what is wrong with it. */
export function checkSample(
  sample: Pick<Sample, 'key' | 'shard' | 'members'>,
  {captions}: {captions: 'optional' | 'required'},
): CheckedSample {
  const {key, shard, members} = sample;
  const extension = mediaExtensions.find(name => members[name] !== undefined);
  const media = extension === undefined ? undefined : members[extension];
  if (extension === undefined || media === undefined) {
    const there = Object.keys(members).join(', ') || 'none';
    throw new BadSample(
      'missingMember',
      `There is no video, image or latents member (${mediaExtensions.join(', ')}); found: ${there}.`,
    );
  }
  const caption = members.txt === undefined ? undefined : textOf(members.txt, 'badCaption', 'caption');
  if (caption === undefined && captions === 'required') {
    throw new BadSample('missingMember', 'There is no caption: KEY.txt is required.');
  }
  const metadata = members.json === undefined ? {} : metadataOf(members.json);
  return {key, shard, media, extension, text: members[textMember], caption, metadata};
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

function metadataOf(bytes: Uint8Array): Metadata {
  const text = textOf(bytes, 'badMetadata', 'metadata');
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    const hint = /\b(NaN|Infinity)\b/.test(text) ? ' (it holds NaN or Infinity, which JSON has not)' : '';
    throw new BadSample('badMetadata', `The metadata are not JSON: ${words.slice(0, 200)}${hint}.`);
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
export function clipWanted(
  {buckets, crop, flip, minSide, decodeTimeoutMs}: ResolvedData,
  {rates, asImages}: {rates: readonly number[]; asImages: boolean},
  key: string,
  at: {seed: number; epoch: number} | undefined,
): ClipWanted {
  const random = {rate: 0, start: 0.5, x: 0.5, y: 0.5, mirror: 0};
  if (at !== undefined) {
    const u = uniforms({seed: at.seed, stream: streamOf(`clip/${key}`), step: at.epoch}, 5);
    random.start = u[0]!;
    if (crop !== 'center') Object.assign(random, {x: u[1]!, y: u[2]!});
    if (flip) random.mirror = u[3]!;
    random.rate = u[4]!;
  }
  const shapes = buckets.map(({frames, width, height}) => ({frames, width, height}));
  const cut = crop === 'patch' ? 'patch' : 'cover';
  return {shapes, rates, asImage: asImages, crop: cut, minSide, timeoutMs: decodeTimeoutMs, random};
}
