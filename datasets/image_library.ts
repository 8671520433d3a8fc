// The one door to sharp, opened when an image is first met: loading it takes longer than starting a decoding thread.
import type sharp from 'sharp';

export type Sharp = typeof sharp;

let loaded: Promise<Sharp> | undefined;

/** Sharp with one thread an image: the decode pool is the parallelism. */
export function loadSharp(): Promise<Sharp> {
  loaded ??= import('sharp').then(module => {
    module.default.concurrency(1);
    return module.default;
  });
  return loaded;
}
