// Numbers as vectors: the sinusoid of timesteps and frame positions, and the two-layer MLP behind it.
import {silu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, firstShape, type Shape, single} from './block.ts';
import {Linear} from './linear.ts';

const MAX_PERIOD = 10_000;

/**
 * The frequencies 10000^(-i/half), i < half = dim/2, rounded as float32 arithmetic rounds them: at timestep 999 an ulp of a
 * frequency is 6e-5 of an angle, which a comparison with a reference sees.
 */
export function sinusoidFrequencies(dim: number): Float32Array {
  if (dim % 2 !== 0) throw new Error(`A sinusoidal embedding needs an even number of channels, got ${dim}.`);
  const half = dim / 2;
  const period = Math.fround(-Math.log(MAX_PERIOD));
  return Float32Array.from({length: half}, (_, i) => Math.exp(Math.fround(Math.fround(period * i) / half)));
}

/** [cos, sin] of the times x frequencies: [N] -> [N, dim]; a function of tensors, for timesteps that change every step. */
export function sinusoid(times: tf.Tensor1D, frequencies: tf.Tensor1D): tf.Tensor2D {
  return tf.tidy(() => {
    const angles = tf.mul(tf.reshape(tf.cast(times, 'float32'), [-1, 1]), tf.reshape(frequencies, [1, -1]));
    return tf.concat([tf.cos(angles), tf.sin(angles)], 1) as tf.Tensor2D;
  });
}

/** The same for positions 0..count-1, made in main memory: [count, dim]. */
export function positionTable(count: number, dim: number): tf.Tensor2D {
  const frequencies = sinusoidFrequencies(dim);
  const half = dim / 2;
  const table = new Float32Array(count * dim);
  for (let t = 0; t < count; t++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(t * frequencies[i]!);
      table[t * dim + i] = Math.cos(angle);
      table[t * dim + half + i] = Math.sin(angle);
    }
  }
  return tf.tensor2d(table, [count, dim]);
}

export interface TimestepEmbeddingOptions {
  readonly inputs: number;
  readonly hidden: number;
  readonly outputs: number;
}

/** Linear, SiLU, Linear. */
export class TimestepEmbedding extends Block<TimestepEmbeddingOptions> {
  static readonly className = 'VideoLdmTimestepEmbedding';
  private readonly linear1: Linear;
  private readonly linear2: Linear;

  constructor(options: TimestepEmbeddingOptions & BlockArgs) {
    super(options);
    const {inputs, hidden, outputs} = options;
    this.linear1 = this.child('linear_1', new Linear({inputs, outputs: hidden}));
    this.linear2 = this.child('linear_2', new Linear({inputs: hidden, outputs}));
  }

  /** [N, inputs] -> [N, outputs]. */
  forward(x: tf.Tensor2D): tf.Tensor2D {
    return this.linear2.forward(silu(this.linear1.forward(x)));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor2D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape).slice(0, -1), this.options.outputs];
  }
}

tf.serialization.registerClass(TimestepEmbedding);
