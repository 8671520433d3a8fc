// FusedBatchNorm: BatchNormalization where its parameters are one vector over the channels, else the formula.
import {splatOf} from '../constants.ts';
import {fixed, sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst} from '../layout.ts';

export const fusedBatchNorm: KernelSpec = {
  kernel: 'FusedBatchNorm',
  infer: sameAs('x'),
  emit(e, node) {
    const x = value(node, 'x');
    const [mean, variance] = [value(node, 'mean'), value(node, 'variance')];
    const {scale, offset} = node.inputs;
    const epsilon = node.attributes.number('varianceEpsilon', 0.001);
    const rank = x.shape.length;
    const vectors = [mean, variance, scale, offset].every(v => v === undefined || v.shape.length === 1);
    if (vectors && rank >= 3) {
      const channels = fixed(e, node, x.shape[rank - 1], 'channels');
      const filled = (v: number) => e.constant(splatOf('float32', [channels], v));
      const perm = channelsFirst(rank);
      const inputs = [
        e.name(x, perm),
        scale ? e.name(scale) : filled(1),
        offset ? e.name(offset) : filled(0),
        e.name(mean),
        e.name(variance),
      ];
      e.set(node.outputs[0]!, e.op('BatchNormalization', inputs, {epsilon: {float: epsilon}}), perm);
      return;
    }
    const perm = e.choosePerm([x], rank);
    const put = (v: typeof x) => e.operand(v, rank, perm);
    const deviation = e.op('Sqrt', [e.op('Add', [put(variance), e.build.scalar(epsilon)])]);
    let y = e.op('Div', [e.op('Sub', [e.name(x, perm), put(mean)]), deviation]);
    if (scale) y = e.op('Mul', [y, put(scale)]);
    if (offset) y = e.op('Add', [y, put(offset)]);
    e.set(node.outputs[0]!, y, perm);
  },
};
