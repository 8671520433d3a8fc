// Einsum.
import {list} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const einsum: KernelSpec = {
  kernel: 'Einsum',
  infer(inputs, attributes) {
    const operands = list(inputs);
    const [left, right] = attributes.text('equation').replaceAll(' ', '').split('->');
    const sizes = new Map<string, number>();
    for (const [i, term] of left!.split(',').entries()) {
      for (const [d, letter] of [...term].entries()) sizes.set(letter, operands[i]!.shape[d]!);
    }
    return {shape: [...right!].map(letter => sizes.get(letter)!), dtype: operands[0]!.dtype};
  },
  emit(e, node) {
    const names = list(node.inputs).map(v => e.name(v));
    e.set(node.outputs[0]!, e.op('Einsum', names, {equation: node.attributes.text('equation').replaceAll(' ', '')}));
  },
};
