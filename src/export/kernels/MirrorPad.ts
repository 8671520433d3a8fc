// MirrorPad: Pad in mode "reflect"; for "symmetric", which Pad lacks, a Gather for each padded axis.
import {fixed, input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {permute} from '../layout.ts';

export const mirrorPad: KernelSpec = {
  kernel: 'MirrorPad',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const pads = attributes.pairs('paddings');
    return {shape: shape.map((d, i) => d + pads[i]![0] + pads[i]![1]), dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const perm = e.choosePerm([x], x.shape.length);
    const pads = permute(node.attributes.pairs('paddings'), perm);
    let name = e.name(x, perm);
    if (node.attributes.text('mode') === 'reflect') {
      const amounts = e.build.ints([...pads.map(p => p[0]), ...pads.map(p => p[1])]);
      e.set(node.outputs[0]!, e.op('Pad', [name, amounts], {mode: 'reflect'}), perm);
      return;
    }
    pads.forEach(([before, after], place) => {
      if (before + after === 0) return;
      const size = fixed(e, node, x.shape[perm[place]!], 'padded size');
      const indices = Array.from({length: before + size + after}, (_, i) => {
        const at = i - before;
        return at < 0 ? -at - 1 : at >= size ? 2 * size - at - 1 : at;
      });
      name = e.op('Gather', [name, e.build.ints(indices)], {axis: place});
    });
    e.set(node.outputs[0]!, name, perm);
  },
};
