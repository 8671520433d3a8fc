// Matrix products over the last two dimensions.
import type {Emitter} from '../emitter.ts';
import type {GraphNode, GraphValue} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst, identityPerm, type Perm} from '../layout.ts';
import {activate} from './activation.ts';
import {reshapeTo} from './reshape.ts';
import {asFloat, broadcast, input, value} from './shapes.ts';
import {onlyChannelsFirst} from './views.ts';

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
      if (asPointwiseConv(e, node, fused)) return;
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

/**
 * A linear layer over the channels of maps [N, H, W, C] that lie channels first is a 1x1 convolution of them as they lie, which
 * spares moving them there and back. Returns whether it was one.
 */
function asPointwiseConv(e: Emitter, node: GraphNode, fused: boolean): boolean {
  const [a, b, bias] = [value(node, 'a'), value(node, 'b'), fused ? node.inputs.bias : undefined];
  const transposed = node.attributes.flag('transposeA') || node.attributes.flag('transposeB');
  const single = b.shape.slice(0, -2).every(d => d === 1) && a.shape.slice(0, -2).every(d => d === 1);
  if (!b.constant || transposed || !single || (bias && bias.shape.length !== 1)) return false;
  const maps = e.withSources(a).find(v => v.shape.length > 3 || (v.shape.length === 3 && v.shape[0] !== 1));
  const [inputs, outputs] = b.constant.shape.slice(-2) as [number, number];
  if (maps?.shape.length !== 4 || maps.shape[3] !== inputs || !onlyChannelsFirst(e, maps)) return false;
  const perm = channelsFirst(4);
  const order = [...identityPerm(b.shape.length - 2), b.shape.length - 1, b.shape.length - 2];
  const names = [e.name(maps, perm), e.constant(b.constant, [outputs, inputs, 1, 1], order)];
  if (bias) names.push(e.name(bias));
  const product = e.op('Conv', names, {kernel_shape: [1, 1]});
  const result: GraphValue = {
    ...maps,
    shape: maps.shape.with(3, outputs),
    samples: maps.samples.map(s => s.with(3, outputs)),
  };
  e.set(result, fused ? activate(e, node, product, 4, perm) : product, perm);
  reshapeTo(e, result, node.outputs[0]!);
  return true;
}
