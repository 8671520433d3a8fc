// Initial values of weights, as data. A value depends on (seed, path) alone, so that adding temporal layers to a model
// leaves its spatial weights as they were.
import {normals, streamOf, uniforms} from '../random/index.ts';

/** How a weight starts. */
export type Initializer =
  | {readonly kind: 'zeros'}
  | {readonly kind: 'ones'}
  | {readonly kind: 'constant'; readonly value: number}
  /** U(-b, b), b = 1/sqrt(fanIn): what torch gives convolutions and linear layers, weights and biases alike. */
  | {readonly kind: 'fanIn'; readonly fanIn: number}
  | {readonly kind: 'normal'; readonly deviation: number}
  /** A convolution [...taps, C, C] that copies its input: 1 at the middle tap of equal channels. */
  | {readonly kind: 'identity'};

export const zeros: Initializer = {kind: 'zeros'};
export const ones: Initializer = {kind: 'ones'};

let shapesOnly = false;

/** While `action` runs, initial values are zeros that nobody computed: for counting what a model would need. */
export async function withoutInitialValues<T>(action: () => Promise<T>): Promise<T> {
  shapesOnly = true;
  try {
    return await action();
  } finally {
    shapesOnly = false;
  }
}

/** The initial values of a weight of this shape, row-major. */
export function initialValues(
  init: Initializer,
  shape: readonly number[],
  at: {seed: number; path: string},
): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  if (shapesOnly) return new Float32Array(count);
  const random = () => ({seed: at.seed, stream: streamOf(at.path), step: 0});
  switch (init.kind) {
    case 'zeros':
      return new Float32Array(count);
    case 'ones':
      return new Float32Array(count).fill(1);
    case 'constant':
      return new Float32Array(count).fill(init.value);
    case 'fanIn': {
      const bound = 1 / Math.sqrt(init.fanIn);
      return uniforms(random(), count).map(u => (2 * u - 1) * bound);
    }
    case 'normal':
      return normals(random(), count).map(z => z * init.deviation);
    case 'identity': {
      const [cin = 1, cout = 1] = shape.slice(-2);
      const taps = count / (cin * cout);
      const values = new Float32Array(count);
      const middle = (taps >> 1) * cin * cout;
      for (let c = 0; c < Math.min(cin, cout); c++) values[middle + c * cout + c] = 1;
      return values;
    }
    default:
      return init satisfies never;
  }
}
