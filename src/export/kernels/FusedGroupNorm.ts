// FusedGroupNorm, fused in src/ops: InstanceNormalization over groups, affine, modulation, silu; GroupNormalization from opset 21.
import {splatOf} from '../constants.ts';
import type {Emitter} from '../emitter.ts';
import {activation} from '../families/gelu.ts';
import {fixed, input, value} from '../families/shapes.ts';
import type {GraphNode, GraphValue} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst, identityPerm, permute} from '../layout.ts';

export const fusedGroupNorm: KernelSpec = {
  kernel: 'FusedGroupNorm',
  infer(inputs, attributes) {
    const {shape} = input(inputs, '0');
    return [
      {shape, dtype: 'float32'},
      {shape: [shape[0]!, attributes.number('groups'), 2], dtype: 'float32'}, // for the gradient only
    ];
  },
  emit(e, node) {
    const [x, gamma, beta] = [value(node, '0'), value(node, '1'), value(node, '2')];
    const rank = x.shape.length;
    const perm = channelsFirst(rank);
    const groups = node.attributes.number('groups');
    const epsilon = {epsilon: {float: node.attributes.number('epsilon')}};
    const name = e.name(x, perm);
    let y: string;
    if (e.opset >= 21) {
      y = e.op('GroupNormalization', [name, e.name(gamma), e.name(beta)], {num_groups: groups, ...epsilon});
    } else {
      const ones = e.constant(splatOf('float32', [groups], 1));
      const zeros = e.constant(splatOf('float32', [groups], 0));
      const grouped = e.op('Reshape', [name, e.build.ints([0, groups, -1])]);
      const normal = e.op('InstanceNormalization', [grouped, ones, zeros], epsilon);
      y = e.reshapeLike(normal, permute(x.shape, perm), name);
      y = e.op('Add', [e.op('Mul', [y, e.operand(gamma, rank, perm)]), e.operand(beta, rank, perm)]);
    }
    const [scale, shift] = [node.inputs['3'], node.inputs['4']];
    if (scale && shift) {
      const factor = e.op('Add', [perSample(e, node, scale, rank), e.build.scalar(1)]);
      y = e.op('Add', [e.op('Mul', [y, factor]), perSample(e, node, shift, rank)]);
    }
    e.set(node.outputs[0]!, node.attributes.flag('silu') ? activation(e, 'silu', y) : y, perm);
  },
};

/** [N, C] beside channels-first data. */
function perSample(e: Emitter, node: GraphNode, v: GraphValue, rank: number): string {
  fixed(e, node, v.shape[1], 'channels');
  const axes = identityPerm(rank - 2).map(d => d + 2);
  return e.op('Unsqueeze', [e.name(v), e.build.ints(axes)]);
}
