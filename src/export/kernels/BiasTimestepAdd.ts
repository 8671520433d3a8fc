// BiasTimestepAdd, fused in src/ops: x [N, ..., C] plus an embedding [N, C] plus a bias [C].
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const biasTimestepAdd: KernelSpec = {
  kernel: 'BiasTimestepAdd',
  infer: inputs => [{shape: input(inputs, '0').shape, dtype: 'float32'}],
  emit(e, node) {
    const [x, embedding, bias] = [value(node, '0'), value(node, '1'), node.inputs['2']];
    const rank = x.shape.length;
    const perm = e.choosePerm([x], rank);
    const perSample = bias ? e.op('Add', [e.name(embedding), e.name(bias)]) : e.name(embedding);
    // N stays first and C last among the two that are not one, wherever the others lie.
    const stored =
      perm.indexOf(0) < perm.indexOf(rank - 1) ? perSample : e.op('Transpose', [perSample], {perm: [1, 0]});
    const axes = perm.flatMap((p, i) => (p === 0 || p === rank - 1 ? [] : [i]));
    const beside = axes.length === 0 ? stored : e.op('Unsqueeze', [stored, e.build.ints(axes)]);
    e.set(node.outputs[0]!, e.op('Add', [e.name(x, perm), beside]), perm);
  },
};
