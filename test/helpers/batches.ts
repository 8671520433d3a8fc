// Batches of made-up frames.
import type {VideoBatch} from '../../datasets/index.ts';
import {integers} from '../../src/random/index.ts';

/** Random bytes as frames; a function of the seed. */
export function randomBatch(
  [b, t, h, w]: readonly [batch: number, frames: number, height: number, width: number],
  seed = 0,
): VideoBatch {
  const size = b * t * h * w * 3;
  return {
    kind: t === 1 ? 'images' : 'clips',
    frames: Uint8Array.from(integers({seed, stream: 'synthetic', step: 0}, size, 256)),
    shape: [b, t, h, w, 3],
    keys: Array.from({length: b}, (_, i) => `made-up-${i}`),
    captions: Array(b).fill(undefined),
    fps: Array(b).fill(8),
    labels: Array.from({length: b}, () => ({})),
    boxes: Array.from({length: b}, () => []),
    metadata: Array.from({length: b}, () => ({})),
    position: null,
    waitedMs: 0,
  };
}
