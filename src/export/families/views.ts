// Other shapes of the same data, found through the reshapes that led to a value: they let an operation work on data where it lies.
import {type Dim, type DimSizes, fitDim} from '../dims.ts';
import type {Emitter} from '../emitter.ts';
import type {GraphValue} from '../graph.ts';

/** A value of given shapes, one for each traced size, that is not part of the traced graph. Undefined where no expression fits. */
export function viewOf(
  sizes: readonly DimSizes[],
  samples: readonly (readonly number[])[],
  dtype: GraphValue['dtype'],
): GraphValue | undefined {
  const shape: Dim[] = [];
  for (let axis = 0; axis < samples[0]!.length; axis++) {
    const dim = fitDim(
      samples.map(s => s[axis]!),
      sizes,
    );
    if (dim === undefined) return undefined;
    shape.push(dim);
  }
  return {shape, samples, dtype};
}

/** Whether the value exists only with its channels (last dimension) moved forward. */
export function onlyChannelsFirst(e: Emitter, value: GraphValue): boolean {
  const orders = e.storedAs(value).filter(o => !o.moved);
  const last = value.shape.length - 1;
  return value.shape.length >= 4 && orders.length > 0 && orders.every(o => o.perm[last] !== last);
}
