// Frames and captions of several samples through the frozen encoders, together.
import type {ClipLatents, ClipText, WholeSample} from '../../datasets/index.ts';
import {type AutoencoderKL, framesToPixels, TextEncoder, Tokenizer} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {allocateExactly} from '../parents/frozen.ts';
import type {HostText} from '../parents/parts.ts';

/** The latents of each sample; `batch` frames are encoded at once. */
export async function encodeFrames(
  group: readonly WholeSample[],
  autoencoder: AutoencoderKL,
  {height, width, batch}: {height: number; width: number; batch: number},
): Promise<ClipLatents[]> {
  const all = Buffer.concat(group.map(({pixels}) => pixels));
  const bytesEach = height * width * 3;
  const count = all.byteLength / bytesEach;
  const [h, w, c] = [height / autoencoder.factor, width / autoencoder.factor, autoencoder.config.latentChannels];
  const latentsEach = h * w * c;
  const mean = new Float32Array(count * latentsEach);
  const logvar = new Float32Array(count * latentsEach);
  for (let at = 0; at < count; at += batch) {
    const n = Math.min(batch, count - at);
    const frames = all.subarray(at * bytesEach, (at + n) * bytesEach);
    const posterior = tf.tidy(() => {
      const encoded = autoencoder.encode(framesToPixels(frames, [n, height, width, 3]) as tf.Tensor4D);
      return [encoded.mean, encoded.logvar] as [tf.Tensor4D, tf.Tensor4D];
    });
    const [means, logvars] = await Promise.all(posterior.map(tensor => tensor.data()));
    mean.set(means!, at * latentsEach);
    logvar.set(logvars!, at * latentsEach);
    tf.dispose(posterior);
  }
  let at = 0;
  return group.map(({frames}) => {
    const part = (values: Float32Array) => values.subarray(at * latentsEach, (at + frames) * latentsEach);
    const latents: ClipLatents = {mean: part(mean), logvar: part(logvar), shape: [frames, h, w, c]};
    at += frames;
    return latents;
  });
}

export interface TextEncoding {
  embed(texts: readonly string[]): Promise<ClipText[]>;
  dispose(): void;
}

export function openTextEncoding({config, weights, tokenizer: files, tokenizerOptions}: HostText): TextEncoding {
  const tokenizer = new Tokenizer(files, tokenizerOptions);
  const encoder = allocateExactly(new TextEncoder(config), weights, 'text encoder');
  const {length} = tokenizer;
  const {channels} = config;
  return {
    async embed(texts) {
      const ids = texts.flatMap(text => [...tokenizer.encodePadded(text)]);
      const hidden = tf.tidy(() => encoder.forward(tf.tensor2d(ids, [texts.length, length], 'int32')).hidden);
      const values = await hidden.data<'float32'>();
      hidden.dispose();
      const each = length * channels;
      return texts.map((_, n) => ({hidden: values.slice(n * each, (n + 1) * each), shape: [length, channels]}));
    },
    dispose: () => void encoder.dispose(),
  };
}
