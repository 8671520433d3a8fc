// Slice, over the axes that are really cut.
import {type Dim, isSymbolic, sameDim} from '../dims.ts';
import {input, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const slice: KernelSpec = {
  kernel: 'Slice',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'x');
    const begin = attributes.numbers('begin');
    const given = attributes.has('size') ? attributes.numbers('size') : [];
    const size = shape.map((d, i) => (given[i] === undefined || given[i] < 0 ? d - (begin[i] ?? 0) : given[i]));
    return {shape: size, dtype};
  },
  emit(e, node) {
    const x = value(node, 'x');
    const output = node.outputs[0]!;
    const perm = e.choosePerm([x], x.shape.length);
    const given = node.attributes.dims('begin');
    const begin: Dim[] = x.shape.map((_, i) => given[i] ?? 0);
    const axes = x.shape.map((_, i) => i).filter(i => begin[i] !== 0 || !sameDim(x.shape[i]!, output.shape[i]!));
    const name = e.name(x, perm);
    if (axes.length === 0) {
      e.set(output, name, perm);
      return;
    }
    const starts = axes.map(a => begin[a]!);
    const sizes = axes.map(a => output.shape[a]!);
    const ends =
      starts.some(isSymbolic) || sizes.some(isSymbolic)
        ? e.op('Add', [e.shapeTensor(starts), e.shapeTensor(sizes)])
        : e.build.ints(starts.map((s, i) => (s as number) + (sizes[i] as number)));
    const places = e.build.ints(axes.map(a => perm.indexOf(a)));
    e.set(output, e.op('Slice', [name, e.shapeTensor(starts), ends, places]), perm);
  },
};
