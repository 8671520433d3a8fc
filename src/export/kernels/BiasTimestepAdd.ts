// BiasTimestepAdd, fused in src/ops: x [N, ..., C] plus an embedding [N, C] plus a bias [C]. Where x is a reshape of maps that lie
// channels first (the frames of a video behind one another), the sum is made on the maps as they lie.
import type {Emitter} from '../emitter.ts';
import {reshapeTo} from '../families/reshape.ts';
import {input, value} from '../families/shapes.ts';
import {onlyChannelsFirst, viewOf} from '../families/views.ts';
import type {GraphValue} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const biasTimestepAdd: KernelSpec = {
  kernel: 'BiasTimestepAdd',
  infer: inputs => [{shape: input(inputs, '0').shape, dtype: 'float32'}],
  emit(e, node) {
    const [x, embedding, bias] = [value(node, '0'), value(node, '1'), node.inputs['2']];
    const output = node.outputs[0]!;
    const added = bias ? e.op('Add', [e.name(embedding), e.name(bias)]) : e.name(embedding);
    const maps = mapsBehind(e, x);
    if (!maps) {
      addTo(e, x, added, output);
      return;
    }
    if (maps.split !== maps.source) reshapeTo(e, maps.source, maps.split);
    const sum: GraphValue = {...maps.split};
    addTo(e, maps.split, added, sum);
    reshapeTo(e, sum, output);
  },
};

/** The channels-first maps [N, H, W, C] that x is a reshape of, as [batch, maps of one, H, W, C]. */
function mapsBehind(e: Emitter, x: GraphValue): {source: GraphValue; split: GraphValue} | undefined {
  if (x.shape.length >= 4 && onlyChannelsFirst(e, x)) return undefined;
  for (const source of e.withSources(x).slice(1)) {
    if (!onlyChannelsFirst(e, source)) continue;
    const fits = source.samples.every((s, k) => s.at(-1) === x.samples[k]!.at(-1) && s[0]! % x.samples[k]![0]! === 0);
    if (!fits) continue;
    if (source.samples.every((s, k) => s[0] === x.samples[k]![0])) return {source, split: source};
    const samples = source.samples.map((s, k) => [x.samples[k]![0]!, s[0]! / x.samples[k]![0]!, ...s.slice(1)]);
    const split = viewOf(e.sizes, samples, x.dtype);
    if (split) return {source, split};
  }
  return undefined;
}

/** Sets output = x + added [N, C], in the order in which x lies. */
function addTo(e: Emitter, x: GraphValue, added: string, output: GraphValue): void {
  const rank = x.shape.length;
  const perm = e.choosePerm([x], rank);
  // N stays first and C last among the two that are not one, wherever the others lie.
  const stored = perm.indexOf(0) < perm.indexOf(rank - 1) ? added : e.op('Transpose', [added], {perm: [1, 0]});
  const axes = perm.flatMap((p, i) => (p === 0 || p === rank - 1 ? [] : [i]));
  const beside = axes.length === 0 ? stored : e.op('Unsqueeze', [stored, e.build.ints(axes)]);
  e.set(output, e.op('Add', [e.name(x, perm), beside]), perm);
}
