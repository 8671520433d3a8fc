// LRNGrad: norm^-beta dy - 2 alpha beta x * (sum over the window of y dy / norm), the window sums as products with a banded matrix.
import {constantOf} from '../constants.ts';
import {fixed, sameAs, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const lrnGrad: KernelSpec = {
  kernel: 'LRNGrad',
  infer: sameAs('x'),
  emit(e, node) {
    const [x, y, dy] = ['x', 'y', 'dy'].map(key => e.name(value(node, key))) as [string, string, string];
    const channels = fixed(e, node, value(node, 'x').shape.at(-1), 'channels');
    const {attributes} = node;
    const radius = attributes.number('depthRadius');
    const [alpha, beta] = [attributes.number('alpha'), attributes.number('beta')];
    const band = Array.from({length: channels ** 2}, (_, i) =>
      Math.abs(Math.floor(i / channels) - (i % channels)) <= radius ? 1 : 0,
    );
    const windows = e.constant(constantOf('float32', [channels, channels], band));
    const squares = e.op('MatMul', [e.op('Mul', [x, x]), windows]);
    const norm = e.op('Add', [
      e.op('Mul', [squares, e.build.scalar(alpha)]),
      e.build.scalar(attributes.number('bias')),
    ]);
    const own = e.op('Mul', [dy, e.op('Pow', [norm, e.build.scalar(-beta)])]);
    const sums = e.op('MatMul', [e.op('Div', [e.op('Mul', [y, dy]), norm]), windows]);
    const others = e.op('Mul', [e.op('Mul', [x, sums]), e.build.scalar(2 * alpha * beta)]);
    e.set(node.outputs[0]!, e.op('Sub', [own, others]));
  },
};
