// torch's layout of a weight and ours: torch has [out, in, ...taps], TensorFlow.js [...taps, in, out]. Vectors and tables of
// embeddings are the same in both.
import type {WeightSpec} from '../../layers/block.ts';

type Placed = Pick<WeightSpec, 'shape' | 'layout'>;

/** The shape a weight has in torch files. */
export function torchShape({shape, layout}: Placed): number[] {
  switch (layout) {
    case 'linear':
    case 'conv2d':
    case 'conv3d':
      return [shape.at(-1)!, shape.at(-2)!, ...shape.slice(0, -2)];
    case 'vector':
    case 'embedding':
    case 'scalar':
      return [...shape];
    default:
      return layout satisfies never;
  }
}

/** Whether a file's shape holds this weight: equal, or a matrix where files differ in writing [o,i] or [o,i,1,1]. */
export function holds(spec: Placed, fileShape: readonly number[]): boolean {
  const own = torchShape(spec);
  const same = (a: readonly number[], b: readonly number[]) =>
    a.length === b.length && a.every((size, i) => size === b[i]);
  if (same(own, fileShape)) return true;
  const matrix = (shape: readonly number[]) => shape.length >= 2 && shape.slice(2).every(size => size === 1);
  return matrix(own) && matrix(fileShape) && same(own.slice(0, 2), fileShape.slice(0, 2));
}

/** Values in torch's order -> ours. */
export function fromTorch(values: Float32Array, spec: Placed): Float32Array {
  const sizes = matrixSizes(spec);
  if (!sizes) return values;
  const {outputs, inputs, taps} = sizes;
  const moved = new Float32Array(values.length);
  for (let o = 0, from = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let t = 0; t < taps; t++, from++) moved[(t * inputs + i) * outputs + o] = values[from]!;
    }
  }
  return moved;
}

/** Values in our order -> torch's. */
export function toTorch(values: Float32Array, spec: Placed): Float32Array {
  const sizes = matrixSizes(spec);
  if (!sizes) return values;
  const {outputs, inputs, taps} = sizes;
  const moved = new Float32Array(values.length);
  for (let o = 0, to = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let t = 0; t < taps; t++, to++) moved[to] = values[(t * inputs + i) * outputs + o]!;
    }
  }
  return moved;
}

/** undefined where the layouts agree. */
function matrixSizes({shape, layout}: Placed): {outputs: number; inputs: number; taps: number} | undefined {
  if (layout !== 'linear' && layout !== 'conv2d' && layout !== 'conv3d') return undefined;
  const [inputs = 1, outputs = 1] = shape.slice(-2);
  return {inputs, outputs, taps: shape.slice(0, -2).reduce((product, size) => product * size, 1)};
}
