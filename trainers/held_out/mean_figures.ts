// Figures of each held-out clip, averaged.
import type {VideoBatch} from '../../datasets/index.ts';
import * as tf from '../../src/tf.ts';

/** Mean over `clips` of each scalar that `measure` returns; the scalars are disposed of. */
export async function meanFigures(
  clips: readonly VideoBatch[],
  measure: (clip: VideoBatch, index: number) => Record<string, tf.Tensor>,
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const [index, clip] of clips.entries()) {
    for (const [name, scalar] of Object.entries(measure(clip, index))) {
      sums[name] = (sums[name] ?? 0) + (await scalar.data())[0]! / clips.length;
      tf.dispose(scalar);
    }
  }
  return sums;
}
