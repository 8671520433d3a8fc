// Places of boxes as numbers, and the classes that stand for no box: plain arithmetic, for browsers too.

/** Sines and cosines of each of the four numbers of a box. */
const OCTAVES = 8;
export const BOX_FEATURES = 4 * 2 * OCTAVES;

/** A place without a box: it is not known whether there is any, or there are no more. Classes follow. */
export const UNKNOWN_BOX = 0;
export const NO_BOX = 1;
export const FIRST_BOX_CLASS = 2;

/** Left, top, right, bottom in [0,1] -> sin and cos of 2^k pi x, k < 8 (as NeRF encodes places). */
export function boxFeatures(corners: readonly [number, number, number, number]): Float32Array {
  const features = new Float32Array(BOX_FEATURES);
  let at = 0;
  for (const x of corners) {
    for (let k = 0; k < OCTAVES; k++) {
      features[at++] = Math.sin(2 ** k * Math.PI * x);
      features[at++] = Math.cos(2 ** k * Math.PI * x);
    }
  }
  return features;
}
