// Latents -> frames, a few at a time so that memory does not grow with the length of the video.
import {type AutoencoderKL, latentsToRaw, pixelsToFrames} from '../models/index.ts';
import * as tf from '../tf.ts';

const FRAMES_AT_ONCE = 8;

/** RGB uint8 [T,H,W,3] of latents [1,T,h,w,C] or [1,h,w,C], frame by frame through the image decoder. */
export async function decodeLatents(
  autoencoder: AutoencoderKL,
  latents: tf.Tensor,
  scaleFactor: number,
): Promise<{data: Uint8Array; shape: readonly [number, number, number, 3]}> {
  const [h = 0, w = 0, c = 0] = latents.shape.slice(-3);
  const count = latents.size / (h * w * c);
  const [height, width] = [h * autoencoder.factor, w * autoencoder.factor];
  const frames = new Uint8Array(count * height * width * 3);
  for (let from = 0; from < count; from += FRAMES_AT_ONCE) {
    const part = tf.tidy(() => {
      const images = tf.reshape(latents, [count, h, w, c]) as tf.Tensor4D;
      const some = tf.slice(images, [from, 0, 0, 0], [Math.min(FRAMES_AT_ONCE, count - from), h, w, c]);
      return pixelsToFrames(autoencoder.decode(latentsToRaw(some, scaleFactor)));
    });
    frames.set(await part.data(), from * height * width * 3);
    part.dispose();
  }
  return {data: frames, shape: [count, height, width, 3]};
}
