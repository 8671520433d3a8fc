// How a weight's axes lie here (channels last, as TensorFlow.js has it) and in files (PyTorch's order, which other tools
// read). Both ways are pure moves of float32 values: the bytes come back exactly.

/** `linear` [in,out]; `conv2d` [kh,kw,in,out]; `conv3d` [kt,kh,kw,in,out]; the others lie the same in files. */
export type WeightLayout = 'vector' | 'linear' | 'conv2d' | 'conv3d' | 'embedding' | 'scalar';

/** Ranks of the layouts whose axes move. */
const kernelRank: Readonly<Partial<Record<WeightLayout, number>>> = {linear: 2, conv2d: 4, conv3d: 5};

/** The shape in files: `linear` [out,in]; `conv2d` [out,in,kh,kw]; `conv3d` [out,in,kt,kh,kw]. */
export function torchShape(shape: readonly number[], layout: WeightLayout): number[] {
  if (!moves(shape, layout)) return [...shape];
  const [input, output] = shape.slice(-2) as [number, number];
  return [output, input, ...shape.slice(0, -2)];
}

/** The shape here, from the shape in files. */
export function tfShape(shape: readonly number[], layout: WeightLayout): number[] {
  if (!moves(shape, layout)) return [...shape];
  const [output, input, ...window] = shape as [number, number, ...number[]];
  return [...window, input, output];
}

/** Values of a weight of `shape` (the shape here) in the order of files: the array itself where nothing moves. */
export function toTorch(values: Float32Array, shape: readonly number[], layout: WeightLayout): Float32Array {
  if (!moves(shape, layout)) return values;
  const [input, output] = shape.slice(-2) as [number, number];
  const window = product(shape.slice(0, -2));
  // [window, input, output] -> [output, input, window]: reversing the axes moves each matrix of one input channel.
  return reversed(values, window, input, output);
}

/** The inverse of `toTorch`; `shape` is again the shape here. */
export function fromTorch(values: Float32Array, shape: readonly number[], layout: WeightLayout): Float32Array {
  if (!moves(shape, layout)) return values;
  const [input, output] = shape.slice(-2) as [number, number];
  return reversed(values, output, input, product(shape.slice(0, -2)));
}

/** The layout that a weight's number of axes suggests; an `embedding` looks like a `linear`. */
export function usualLayout(rank: number): WeightLayout {
  if (rank === 0) return 'scalar';
  return rank === 2 ? 'linear' : rank === 4 ? 'conv2d' : rank === 5 ? 'conv3d' : 'vector';
}

/** Whether anything moves. @throws RangeError where the rank is not the layout's. */
function moves(shape: readonly number[], layout: WeightLayout): boolean {
  const rank = kernelRank[layout];
  if (rank !== undefined && shape.length !== rank) {
    throw new RangeError(`A ${layout} weight has ${rank} axes, this one has the shape [${shape}].`);
  }
  return rank !== undefined;
}

const TILE = 32;

/** [a, b, c] -> [c, b, a], in tiles that stay in the cache. */
function reversed(values: Float32Array, a: number, b: number, c: number): Float32Array {
  const result = new Float32Array(values.length);
  // Moved as integers: a float move may change the bits of a NaN.
  const source = new Int32Array(values.buffer, values.byteOffset, values.length);
  const target = new Int32Array(result.buffer);
  for (let j = 0; j < b; j++) {
    for (let k0 = 0; k0 < c; k0 += TILE) {
      const k1 = Math.min(k0 + TILE, c);
      for (let i0 = 0; i0 < a; i0 += TILE) {
        const i1 = Math.min(i0 + TILE, a);
        for (let i = i0; i < i1; i++) {
          const row = (i * b + j) * c;
          for (let k = k0; k < k1; k++) target[(k * b + j) * a + i] = source[row + k]!;
        }
      }
    }
  }
  return result;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}
