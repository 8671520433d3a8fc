// The members that `video-ldm encode` writes: KEY.latents.safetensors, KEY.text.safetensors and what KEY.json says of them.
import {UserError} from '../src/platform/user_error.ts';
import {f32, type HostTensor, hostF32, toFloatDtype} from '../src/weights/host_tensor.ts';
import {encodeSafetensors, parseSafetensors} from '../src/weights/safetensors.ts';
import {BadSample} from './bad_sample.ts';
import {type ClipPlace, type ClipWanted, placeClip} from './clip_cut.ts';
import type {Metadata} from './labels.ts';

export const latentsMember = 'latents.safetensors';
export const textMember = 'text.safetensors';

/** What KEY.json says under `latents`. */
export interface LatentsRecord {
  /** Hash of the encoder's configuration and weights. */
  encoder: string;
  /** Hash of how frames were made for it. */
  preprocessing: string;
  /** Of the frames, pixels. */
  height: number;
  width: number;
  /** 0 for a still image. */
  fps: number;
  frames: number;
}

/** Latents of a clip, float32. */
export interface ClipLatents {
  mean: Float32Array;
  logvar: Float32Array;
  shape: readonly [frames: number, height: number, width: number, channels: number];
}

/** Text embedding of a caption, float32 [L,D]. */
export interface ClipText {
  hidden: Float32Array;
  shape: readonly [tokens: number, channels: number];
}

/** The bytes of KEY.latents.safetensors. */
export function latentsBytes({mean, logvar, shape}: ClipLatents): Uint8Array {
  const half = (values: Float32Array) => toFloatDtype(hostF32(shape, values), 'F16');
  return encodeSafetensors([
    ['logvar', half(logvar)],
    ['mean', half(mean)],
  ]);
}

/** The bytes of KEY.text.safetensors. */
export function textBytes({hidden, shape}: ClipText, encoder: string): Uint8Array {
  return encodeSafetensors([['hidden', toFloatDtype(hostF32(shape, hidden), 'F16')]], {encoder});
}

/** @throws BadSample when KEY.json does not say what its latents are. */
export function latentsRecord({latents}: Metadata): LatentsRecord {
  const fields = latents !== null && typeof latents === 'object' && !Array.isArray(latents) ? latents : {};
  const {encoder, preprocessing, height, width, fps, frames} = fields;
  const whole = [height, width, frames].every(value => Number.isSafeInteger(value) && (value as number) > 0);
  const rate = typeof fps === 'number' && fps >= 0 && fps <= 1000;
  if (typeof encoder !== 'string' || typeof preprocessing !== 'string' || !whole || !rate) {
    throw new BadSample(
      'badMetadata',
      'KEY.json must say under "latents" what they are: encoder, preprocessing, height, width, fps, frames.',
    );
  }
  return {encoder, preprocessing, fps, height: height as number, width: width as number, frames: frames as number};
}

/**
 * The clip wanted of a sample of latents: some of its frames; nothing can be cropped or mirrored any more.
 * @throws BadSample for what is no latents; UserError when no bucket has their size.
 */
export function cutLatents(
  bytes: Uint8Array,
  record: LatentsRecord,
  wanted: ClipWanted,
): {latents: ClipLatents; place: ClipPlace} {
  const {height, width, fps, frames: stored} = record;
  const shapes = wanted.shapes.map(shape => (shape.width === width && shape.height === height ? shape : undefined));
  const fitting = shapes.filter(shape => shape !== undefined);
  if (fitting.length === 0) {
    const sizes = [...new Set(wanted.shapes.map(shape => `${shape.width}x${shape.height}`))].join(', ');
    throw new UserError(
      `The latents are of frames of ${width}x${height}, the data's size is ${sizes}: make them equal or encode again.`,
    );
  }
  const info = {width, height, fps, duration: fps === 0 ? 0 : stored / fps};
  const chosen = placeClip(info, {...wanted, shapes: fitting, crop: 'cover', minSide: 1});
  const shape = fitting[chosen.shape]!;
  const place = {...chosen, shape: shapes.indexOf(shape), mirrored: false};
  const first = Math.round(place.start * fps);
  const frameOf = (n: number) =>
    fps === 0 ? 0 : Math.min(stored - 1, Math.floor(first + (n * fps) / place.fps + 0.2137));
  const indices = Array.from({length: shape.frames}, (_, n) => frameOf(n));
  return {latents: pick(bytes, stored, indices), place};
}

/** Some frames of mean and logvar. */
function pick(bytes: Uint8Array, stored: number, indices: readonly number[]): ClipLatents {
  const tensors = parse(bytes, latentsMember);
  const [mean, logvar] = [need(tensors, 'mean', latentsMember), need(tensors, 'logvar', latentsMember)];
  const [frames, h, w, c] = mean.shape;
  if (mean.shape.length !== 4 || frames !== stored || mean.shape.join() !== logvar.shape.join()) {
    throw new BadSample(
      'badLatents',
      `mean is [${mean.shape}] and logvar [${logvar.shape}], both must be [${stored},h,w,C] as KEY.json says.`,
    );
  }
  const each = h! * w! * c!;
  if (each === 0) throw new BadSample('badLatents', `mean is [${mean.shape}]: it holds nothing.`);
  const take = (tensor: HostTensor): Float32Array => {
    const bytesEach = tensor.data.byteLength / stored;
    const into = new Float32Array(indices.length * each);
    indices.forEach((index, n) => {
      const data = tensor.data.subarray(index * bytesEach, (index + 1) * bytesEach);
      into.set(f32({dtype: tensor.dtype, shape: [each], data}), n * each);
    });
    if (!into.every(Number.isFinite)) throw new BadSample('badLatents', 'The latents hold values that are not finite.');
    return into;
  };
  return {mean: take(mean), logvar: take(logvar), shape: [indices.length, h!, w!, c!]};
}

/** The text embedding, and the hash of what made it. @throws BadSample */
export function readText(bytes: Uint8Array): ClipText & {encoder: string} {
  const {tensors, metadata} = parseMember(bytes, textMember);
  const hidden = need(tensors, 'hidden', textMember);
  const [tokens, channels] = hidden.shape;
  if (hidden.shape.length !== 2 || !tokens || !channels)
    throw new BadSample('badLatents', `hidden of ${textMember} is [${hidden.shape}], expected [L,D].`);
  const values = f32(hidden);
  if (!values.every(Number.isFinite))
    throw new BadSample('badLatents', `${textMember} holds values that are not finite.`);
  return {hidden: values, shape: [tokens, channels], encoder: metadata.encoder ?? 'unknown'};
}

function need(tensors: Map<string, HostTensor>, name: string, member: string): HostTensor {
  const tensor = tensors.get(name);
  if (tensor !== undefined && ['F16', 'F32', 'BF16'].includes(tensor.dtype)) return tensor;
  const found = tensor === undefined ? `[${[...tensors.keys()].slice(0, 5)}]` : tensor.dtype;
  throw new BadSample('badLatents', `${member} must hold a tensor "${name}" of floats; found ${found}.`);
}

const parse = (bytes: Uint8Array, member: string) => parseMember(bytes, member).tensors;

function parseMember(bytes: Uint8Array, member: string): ReturnType<typeof parseSafetensors> {
  if (bytes.byteLength === 0) throw new BadSample('empty', `The member ${member} is empty.`);
  try {
    return parseSafetensors(bytes, member);
  } catch (error) {
    if (error instanceof UserError) throw new BadSample('badLatents', error.message);
    throw error;
  }
}
