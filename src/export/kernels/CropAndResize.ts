// CropAndResize: the corners (or the nearest pixel) of every sampling point are gathered and mixed; points outside get the extrapolation value.
import type {Emitter} from '../emitter.ts';
import {fixed, fixedShape, input, value} from '../families/shapes.ts';
import type {GraphNode} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const cropAndResize: KernelSpec = {
  kernel: 'CropAndResize',
  infer(inputs, attributes) {
    const [height, width] = attributes.numbers('cropSize');
    return {
      shape: [input(inputs, 'boxes').shape[0]!, height!, width!, input(inputs, 'image').shape[3]!],
      dtype: 'float32',
    };
  },
  emit(e, node) {
    const image = value(node, 'image');
    const [, height, width] = fixedShape(e, node, image, 'image shape') as [number, number, number];
    const count = fixed(e, node, value(node, 'boxes').shape[0], 'number of boxes');
    const [cropHeight, cropWidth] = node.attributes.numbers('cropSize') as [number, number];
    const y = axisPoints(e, node, 0, height, cropHeight); // [boxes, cropHeight, 1]
    const x = axisPoints(e, node, 1, width, cropWidth);
    const rows = (v: string) => e.op('Unsqueeze', [v, e.build.ints([2])]);
    const columns = (v: string) => e.op('Unsqueeze', [v, e.build.ints([1])]);
    const batch = e.reshape(e.cast(e.name(value(node, 'boxInd')), 'int64'), [count, 1, 1]);
    const full = e.build.ints([count, cropHeight, cropWidth]);
    const pick = (yAt: string, xAt: string) => {
      const index = [batch, rows(yAt), columns(xAt)].map(v =>
        e.op('Unsqueeze', [e.op('Expand', [v, full]), e.build.ints([3])]),
      );
      return e.op('GatherND', [e.name(image), e.op('Concat', index, {axis: 3})]);
    };
    let pixels: string;
    if (node.attributes.text('method') === 'nearest') {
      pixels = pick(y.nearest, x.nearest);
    } else {
      const weight = (v: string, axis: number) =>
        e.op('Unsqueeze', [axis === 0 ? rows(v) : columns(v), e.build.ints([3])]);
      const mix = (a: string, b: string, t: string) => e.op('Add', [a, e.op('Mul', [e.op('Sub', [b, a]), t])]);
      const top = mix(pick(y.low, x.low), pick(y.low, x.high), weight(x.part, 1));
      const bottom = mix(pick(y.high, x.low), pick(y.high, x.high), weight(x.part, 1));
      pixels = mix(top, bottom, weight(y.part, 0));
    }
    const inside = e.op('Unsqueeze', [e.op('And', [rows(y.inside), columns(x.inside)]), e.build.ints([3])]);
    const outside = e.build.scalar(node.attributes.number('extrapolationValue', 0));
    e.set(node.outputs[0]!, e.op('Where', [inside, pixels, outside]));
  },
};

interface Points {
  readonly low: string;
  readonly high: string;
  readonly nearest: string;
  readonly part: string;
  readonly inside: string;
}

/** Where along one axis each box samples: pixel indices [boxes, crop], the part between them, and whether the point is inside. */
function axisPoints(e: Emitter, node: GraphNode, axis: 0 | 1, size: number, crop: number): Points {
  const boxes = e.name(value(node, 'boxes'));
  const column = (c: number) => e.op('Slice', [boxes, e.build.ints([c]), e.build.ints([c + 1]), e.build.ints([1])]);
  const [from, to] = [column(axis), column(axis + 2)];
  const last = e.build.scalar(size - 1);
  let at: string;
  if (crop > 1) {
    const step = e.op('Div', [e.op('Mul', [e.op('Sub', [to, from]), last]), e.build.scalar(crop - 1)]);
    const places = e.build.literal(
      'float32',
      [1, crop],
      Array.from({length: crop}, (_, i) => i),
    );
    at = e.op('Add', [e.op('Mul', [from, last]), e.op('Mul', [places, step])]);
  } else {
    at = e.op('Mul', [e.op('Mul', [e.op('Add', [from, to]), e.build.scalar(0.5)]), last]);
  }
  const zero = e.build.scalar(0);
  const inside = e.op('And', [e.op('GreaterOrEqual', [at, zero]), e.op('LessOrEqual', [at, last])]);
  const kept = e.op('Clip', [at, zero, last]);
  const low = e.op('Floor', [kept]);
  return {
    low: e.cast(low, 'int64'),
    high: e.cast(e.op('Ceil', [kept]), 'int64'),
    nearest: e.cast(e.op('Floor', [e.op('Add', [kept, e.build.scalar(0.5)])]), 'int64'),
    part: e.op('Sub', [kept, low]),
    inside,
  };
}
