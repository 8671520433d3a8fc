// Reversal along axes.
import type {Emitter} from '../emitter.ts';
import type {GraphValue} from '../graph.ts';

const beforeFirst = -(2 ** 40); // an end below every index

export function reverseAxes(e: Emitter, x: GraphValue, output: GraphValue, axes: readonly number[]): void {
  const perm = e.choosePerm([x], x.shape.length);
  const name = e.name(x, perm);
  if (axes.length === 0) {
    e.set(output, name, perm);
    return;
  }
  const all = (v: number) => e.build.ints(axes.map(() => v));
  const places = e.build.ints(axes.map(a => perm.indexOf(a)));
  e.set(output, e.op('Slice', [name, all(-1), all(beforeFirst), places, all(-1)]), perm);
}
