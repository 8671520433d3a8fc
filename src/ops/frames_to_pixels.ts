// Bytes of decoded frames to the [-1, 1] that models see. Kernel FramesToPixels takes the bytes packed four to an int32, so
// that a quarter of the memory crosses to the device.
import * as tf from '../tf.ts';
import {hasKernel, runFused} from './fused.ts';

/** frames: bytes of `shape`, row-major -> float32 of `shape`, byte / 127.5 - 1. @throws Error when the sizes differ. */
export function framesToPixels(frames: Uint8Array, shape: readonly number[]): tf.Tensor {
  const size = tf.util.sizeFromShape([...shape]);
  if (frames.length !== size) {
    throw new Error(`framesToPixels: ${frames.length} bytes given for shape [${shape}], which has ${size}.`);
  }
  if (hasKernel('FramesToPixels')) {
    const packed = new Int32Array(Math.ceil(size / 4));
    new Uint8Array(packed.buffer).set(frames);
    const words = tf.tensor1d(packed, 'int32');
    const pixels = runFused('FramesToPixels', [words], {shape: [...shape]})[0]!;
    words.dispose();
    return pixels;
  }
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = pixelOfByte[frames[i]!]!;
  return tf.tensor(values, [...shape], 'float32');
}

const pixelOfByte = Float32Array.from({length: 256}, (_, byte) => byte / 127.5 - 1);
