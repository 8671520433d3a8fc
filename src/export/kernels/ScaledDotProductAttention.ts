// ScaledDotProductAttention, fused in src/ops: heads lie side by side in the last axis.
import {attend, attentionOperator, maskOf} from '../families/attention.ts';
import {fixed, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const scaledDotProductAttention: KernelSpec = {
  kernel: 'ScaledDotProductAttention',
  infer(inputs) {
    const {shape} = input(inputs, '0');
    return [
      {shape, dtype: 'float32'},
      {shape: [0], dtype: 'float32'}, // for the gradient only
    ];
  },
  emit(e, node) {
    const [q, k, v, mask] = [value(node, '0'), value(node, '1'), value(node, '2'), node.inputs['3']];
    const heads = node.attributes.number('heads');
    const width = fixed(e, node, q.shape[2], 'channels');
    const size = width / heads;
    const output = node.outputs[0]!;
    const causal = node.attributes.flag('causal');
    if (e.opset >= 23) {
      const options = {mask: mask && e.name(mask), causal};
      e.set(output, attentionOperator(e, [e.name(q), e.name(k), e.name(v)], heads, options));
      return;
    }
    const split = (of: typeof q, perm: number[]) =>
      e.op('Transpose', [e.op('Reshape', [e.name(of), e.build.ints([0, 0, heads, size])])], {perm});
    const query = split(q, [0, 2, 1, 3]);
    const keys = split(k, [0, 2, 3, 1]);
    const values = split(v, [0, 2, 1, 3]);
    let bias = mask ? e.name(mask) : undefined;
    if (causal) {
      const past = maskOf(e, fixed(e, node, q.shape[1], 'length under a causal mask'), (i, j) => j <= i);
      bias = bias === undefined ? past : e.op('Add', [bias, past]);
    }
    const mixed = attend(e, query, keys, values, 1 / Math.sqrt(size), bias);
    const joined = e.op('Transpose', [mixed], {perm: [0, 2, 1, 3]});
    e.set(output, e.op('Reshape', [joined, e.build.ints([0, 0, width])]));
  },
};
