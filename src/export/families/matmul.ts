// Matrix products over the last two dimensions.
import type {KernelSpec} from '../kernel_spec.ts';
import {identityPerm, type Perm} from '../layout.ts';
import {activate} from './activation.ts';
import {asFloat, broadcast, input, value} from './shapes.ts';

export function lastTwoSwapped(rank: number): Perm {
  return [...identityPerm(rank - 2), rank - 1, rank - 2];
}

export function matMulSpec(kernel: string, fused: boolean): KernelSpec {
  return {
    kernel,
    infer(inputs, attributes) {
      const a = input(inputs, 'a');
      const b = input(inputs, 'b').shape;
      const rows = a.shape.at(attributes.flag('transposeA') ? -1 : -2)!;
      const columns = b.at(attributes.flag('transposeB') ? -2 : -1)!;
      return {shape: [...broadcast([a.shape.slice(0, -2), b.slice(0, -2)]), rows, columns], dtype: a.dtype};
    },
    emit(e, node) {
      const output = node.outputs[0]!;
      const rank = output.shape.length;
      const names = (['a', 'b'] as const).map(key => {
        const v = value(node, key);
        const swapped = node.attributes.flag(key === 'a' ? 'transposeA' : 'transposeB');
        const name = e.name(v, swapped ? lastTwoSwapped(v.shape.length) : identityPerm(v.shape.length));
        return asFloat(e, name, v.dtype);
      });
      let y = e.op('MatMul', names);
      if (fused) {
        if (node.inputs.bias) y = e.op('Add', [y, e.operand(node.inputs.bias, rank, identityPerm(rank))]);
        y = activate(e, node, y, rank, identityPerm(rank));
      }
      e.set(output, output.dtype === 'int32' ? e.cast(y, 'int32') : y);
    },
  };
}
