// TemporalAttention, fused in src/ops: q, k, v [B, T, P, heads * d], attention over T for each of the P pixels.
import {attend, attentionOperator, maskOf} from '../families/attention.ts';
import {fixed, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const temporalAttention: KernelSpec = {
  kernel: 'TemporalAttention',
  infer(inputs) {
    const {shape} = input(inputs, '0');
    return [
      {shape, dtype: 'float32'},
      {shape: [0], dtype: 'float32'}, // for the gradient only
    ];
  },
  emit(e, node) {
    const q = value(node, '0');
    const heads = node.attributes.number('heads');
    const width = fixed(e, node, q.shape[3], 'channels');
    const size = width / heads;
    let mask: string | undefined;
    if (node.attributes.has('window')) {
      const window = node.attributes.number('window');
      mask = maskOf(
        e,
        fixed(e, node, q.shape[1], 'number of frames under a window'),
        (i, j) => Math.abs(i - j) <= window,
      );
    }
    if (e.opset >= 23) {
      const [batch, frames, places] = q.shape;
      const sequences = (key: string) => {
        const moved = e.op('Transpose', [e.name(value(node, key))], {perm: [0, 2, 1, 3]}); // [B, P, T, C]
        return e.op('Reshape', [moved, e.shapeTensor([-1, frames!, width])]);
      };
      const mixed = attentionOperator(e, [sequences('0'), sequences('1'), sequences('2')], heads, {mask});
      const apart = e.op('Reshape', [mixed, e.shapeTensor([batch!, places!, frames!, width], true)]);
      e.set(node.outputs[0]!, e.op('Transpose', [apart], {perm: [0, 2, 1, 3]}));
      return;
    }
    const split = (key: string, perm: number[]) => {
      const parts = e.op('Reshape', [e.name(value(node, key)), e.build.ints([0, 0, 0, heads, size])]);
      return e.op('Transpose', [parts], {perm});
    };
    const query = split('0', [0, 2, 3, 1, 4]); // [B, P, heads, T, d]
    const keys = split('1', [0, 2, 3, 4, 1]);
    const values = split('2', [0, 2, 3, 1, 4]);
    const mixed = attend(e, query, keys, values, 1 / Math.sqrt(size), mask);
    const joined = e.op('Transpose', [mixed], {perm: [0, 3, 1, 2, 4]});
    e.set(node.outputs[0]!, e.op('Reshape', [joined, e.build.ints([0, 0, 0, width])]));
  },
};
