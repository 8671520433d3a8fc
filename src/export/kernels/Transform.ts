// Transform: a projective warp whose coefficients are known when the graph is made, so that its positions are constants.
import {fixedShape, input, value} from '../families/shapes.ts';
import {sampled, samplesAt} from '../families/warp.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const transform: KernelSpec = {
  kernel: 'Transform',
  infer(inputs, attributes) {
    const {shape, dtype} = input(inputs, 'image');
    const [height, width] = attributes.has('outputShape') ? attributes.numbers('outputShape') : shape.slice(1, 3);
    return {shape: [shape[0]!, height!, width!, shape[3]!], dtype};
  },
  emit(e, node) {
    const image = value(node, 'image');
    const transforms = value(node, 'transforms');
    if (!transforms.constant || transforms.shape[0] !== 1)
      return e.fail(node, 'its transforms are not one constant row');
    const t = transforms.constant.load() as Float32Array;
    const [, height, width] = fixedShape(e, node, image, 'image shape') as [number, number, number];
    const output = node.outputs[0]!;
    const [, outHeight, outWidth] = fixedShape(e, node, output) as [number, number, number];
    const mode = node.attributes.text('fillMode');
    const fill = [node.attributes.number('fillValue', 0)];
    const points = Array.from({length: outHeight * outWidth}, (_, i): [number, number] => {
      const [y, x] = [Math.floor(i / outWidth), i % outWidth];
      const scale = t[6]! * x + t[7]! * y + 1;
      if (scale === 0) return [-2, -2]; // outside: the fill value
      const inX = (t[0]! * x + t[1]! * y + t[2]!) / scale;
      const inY = (t[3]! * x + t[4]! * y + t[5]!) / scale;
      return [mapped(inY, height, mode), mapped(inX, width, mode)];
    });
    if (node.attributes.text('interpolation') === 'nearest') {
      const rounded = points.map(([y, x]): [number, number] => [Math.round(y), Math.round(x)]);
      e.set(output, e.reshape(sampled(e, node, image, samplesAt(rounded, height, width), fill), output.shape));
      return;
    }
    const corners = [0, 1].flatMap(dy => [0, 1].map(dx => ({dy, dx})));
    const parts = corners.map(({dy, dx}) => {
      const at = points.map(([y, x]): [number, number] => [Math.floor(y) + dy, Math.floor(x) + dx]);
      const weight = points.map(([y, x]) => share(y, dy) * share(x, dx));
      const weights = e.build.literal('float32', [weight.length, 1], weight);
      return e.op('Mul', [sampled(e, node, image, samplesAt(at, height, width), fill), weights]);
    });
    e.set(output, e.reshape(e.op('Sum', parts), output.shape));
  },
};

/** The weight of the pixel below (0) or above (1) a position. */
function share(position: number, above: number): number {
  const part = position - Math.floor(position);
  return above === 1 ? part : 1 - part;
}

/** A coordinate brought back into the image, as the fill mode says. */
function mapped(at: number, size: number, mode: string): number {
  if (mode === 'constant') return at;
  const last = size - 1;
  let c = at;
  if (mode === 'reflect' && (c < 0 || c > last)) {
    const period = 2 * size;
    if (c < 0) {
      c = period * Math.trunc(-c / period) + c;
      c = c < -size ? c + period : -c - 1;
    } else {
      c -= period * Math.trunc(c / period);
      if (c >= size) c = period - c - 1;
    }
  } else if (mode === 'wrap' && (c < 0 || c > last)) {
    c = last === 0 ? 0 : c < 0 ? c + size * (Math.trunc(-c / last) + 1) : c - size * Math.trunc(c / last);
  }
  return Math.min(Math.max(c, 0), last);
}
