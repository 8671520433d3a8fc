// What random numbers are drawn for. Each purpose reads its own stream, so that drawing more for one never shifts another.

/** The closed registry of streams. Numbers are part of the checkpoint promise: never reuse or renumber one. */
export const streams = {
  init: 0,
  noise: 1,
  timesteps: 2,
  shuffle: 3,
  augment: 4,
  conditionDropout: 5,
  heldOutNoise: 6,
  sampling: 7,
  heldOutTimesteps: 8,
  posterior: 9,
  contextFrames: 10,
  clipStart: 11,
  mixing: 12,
  noiseAugment: 13,
  patch: 14,
  offsetNoise: 15,
  ancestral: 16,
  synthetic: 17,
  samplingPrediction: 24,
  samplingInterpolation: 25,
  samplingUpsampler: 26,
} as const;

export type StreamName = keyof typeof streams;

/**
 * The stream of a text, such as a weight's path: a 51-bit FNV-1a hash with bit 51 set, so it never meets a registered stream.
 * Two of 10,000 paths share a stream with probability 2e-8.
 */
export function streamOf(text: string): number {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  // The high bits of FNV-1a are the well mixed ones.
  return Number(hash >> 13n) + 2 ** 51;
}
