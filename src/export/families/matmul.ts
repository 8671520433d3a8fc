// Matrix products over the last two dimensions.
import type {Emitter} from '../emitter.ts';
import type {GraphNode} from '../graph.ts';
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
      const gemm = asGemm(e, node, fused);
      if (gemm !== undefined) {
        e.set(output, gemm);
        return;
      }
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

/** A product of two matrices (a batch of one counts as none) with its bias in one Gemm, where that is all there is to do. */
function asGemm(e: Emitter, node: GraphNode, fused: boolean): string | undefined {
  const [a, b, bias] = [value(node, 'a'), value(node, 'b'), fused ? node.inputs.bias : undefined];
  const output = node.outputs[0]!;
  const single = [a, b].every(v => v.dtype === 'float32' && v.shape.slice(0, -2).every(d => d === 1));
  if (!single || (fused && !bias) || (bias && bias.shape.length !== 1)) return undefined;
  const columns = output.shape.at(-1)!;
  const names = [a, b].map(v => {
    const shape = v.shape.slice(-2);
    return v.constant ? e.constant(v.constant, shape as number[]) : e.reshape(e.name(v), shape);
  });
  if (bias) names.push(e.name(bias));
  const transposes = {
    transA: node.attributes.flag('transposeA') ? 1 : 0,
    transB: node.attributes.flag('transposeB') ? 1 : 0,
  };
  const product = e.op('Gemm', names, transposes);
  const y = fused ? activate(e, node, product, 2, identityPerm(2)) : product;
  return e.reshape(y, [...output.shape.slice(0, -2), output.shape.at(-2)!, columns]);
}
