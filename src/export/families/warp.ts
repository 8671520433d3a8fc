// Images sampled at positions that are known when the graph is made.
import type {Emitter} from '../emitter.ts';
import type {GraphNode, GraphValue} from '../graph.ts';
import {fixedShape} from './shapes.ts';

/** Flat pixel indices [places] of the image, and which of them lie inside it. */
export interface Samples {
  readonly index: readonly number[];
  readonly inside: readonly boolean[];
}

/** [N, places, C]: the pixels at the samples, `fill` ([1] or [C] values) where they lie outside. */
export function sampled(
  e: Emitter,
  node: GraphNode,
  image: GraphValue,
  samples: Samples,
  fill: readonly number[],
): string {
  const [n, height, width, channels] = fixedShape(e, node, image, 'image shape') as [number, number, number, number];
  const flat = e.reshape(e.name(image), [n, height * width, channels]);
  const pixels = e.op('Gather', [flat, e.build.ints(samples.index)], {axis: 1});
  if (samples.inside.every(Boolean)) return pixels;
  const mask = e.build.literal('bool', [samples.inside.length, 1], samples.inside.map(Number));
  return e.op('Where', [mask, pixels, e.build.literal('float32', [fill.length], fill)]);
}

/** Samples at rounded positions. */
export function samplesAt(
  points: readonly (readonly [y: number, x: number])[],
  height: number,
  width: number,
): Samples {
  const inside = points.map(([y, x]) => y >= 0 && y < height && x >= 0 && x < width);
  return {inside, index: points.map(([y, x], i) => (inside[i] ? y * width + x : 0))};
}
