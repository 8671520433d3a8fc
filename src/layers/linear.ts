// The leaves that multiply: linear layers, 2-D convolutions, convolutions over time, and tables of embeddings.
import {conv2d, linear, type Padding, temporalConv} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, firstShape, type Shape, single, type Weight} from './block.ts';
import {type Initializer, zeros} from './initializers.ts';

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Starts at zero, weights and bias, so that what follows begins as if it were not there. */
  readonly zero?: boolean;
}

/** y = x W + b over the last axis. */
export class Linear extends Block<LinearOptions> {
  static readonly className = 'VideoLdmLinear';
  private readonly kernel: Weight;
  private readonly bias: Weight | undefined;

  constructor(options: LinearOptions & BlockArgs) {
    super(options);
    const {inputs, outputs, bias = true, zero = false} = options;
    const init: Initializer = zero ? zeros : {kind: 'fanIn', fanIn: inputs};
    this.kernel = this.weight('weight', {shape: [inputs, outputs], init, layout: 'linear'});
    if (bias) this.bias = this.weight('bias', {shape: [outputs], init, layout: 'vector'});
  }

  /** [..., inputs] -> [..., outputs]. */
  forward<T extends tf.Tensor>(x: T): T {
    return linear(x, this.kernel.value as tf.Tensor2D, this.bias?.value as tf.Tensor1D | undefined) as T;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape).slice(0, -1), this.options.outputs];
  }
}

export interface Conv2dOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** 1 or 3 in Stable Diffusion. */
  readonly kernel: number;
  /** Default 1. */
  readonly stride?: number;
  /** As torch counts: rows and columns on every side, or per side; default 'same size' (kernel >> 1). */
  readonly pad?: Padding;
  readonly bias?: boolean;
  readonly zero?: boolean;
}

/** A 2-D convolution [N,H,W,inputs] -> [N,H',W',outputs] with torch's symmetric padding. */
export class Conv2d extends Block<Conv2dOptions> {
  static readonly className = 'VideoLdmConv2d';
  private readonly kernel: Weight;
  private readonly bias: Weight | undefined;

  constructor(options: Conv2dOptions & BlockArgs) {
    super(options);
    const {inputs, outputs, kernel, bias = true, zero = false} = options;
    const init: Initializer = zero ? zeros : {kind: 'fanIn', fanIn: inputs * kernel * kernel};
    this.kernel = this.weight('weight', {shape: [kernel, kernel, inputs, outputs], init, layout: 'conv2d'});
    if (bias) this.bias = this.weight('bias', {shape: [outputs], init, layout: 'vector'});
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.convolve(x, this.biasVector);
  }

  /** The same without the bias, for a caller that adds `biasVector` together with something else. */
  unbiased(x: tf.Tensor4D): tf.Tensor4D {
    return this.convolve(x, undefined);
  }

  /** [outputs]; undefined where the convolution has none. */
  get biasVector(): tf.Tensor1D | undefined {
    return this.bias?.value as tf.Tensor1D | undefined;
  }

  private convolve(x: tf.Tensor4D, bias: tf.Tensor1D | undefined): tf.Tensor4D {
    const {kernel, stride = 1, pad = kernel >> 1, inputs, outputs} = this.options;
    // A 1x1 convolution is a matrix product: no window to gather.
    if (kernel === 1 && stride === 1 && pad === 0)
      return linear(x, tf.reshape(this.kernel.value, [inputs, outputs]), bias) as tf.Tensor4D;
    return conv2d(x, this.kernel.value as tf.Tensor4D, bias, {stride, pad});
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor4D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    const [n = null, h = null, w = null] = firstShape(shape);
    const {kernel, stride = 1, pad = kernel >> 1, outputs} = this.options;
    const around = (axis: 0 | 1) => {
      if (pad === 'valid') return 0;
      if (pad === 'same') return kernel - 1;
      return typeof pad === 'number' ? 2 * pad : pad[axis][0] + pad[axis][1];
    };
    const size = (length: number | null, axis: 0 | 1) =>
      length === null ? null : Math.floor((length + around(axis) - kernel) / stride) + 1;
    return [n, size(h, 0), size(w, 1), outputs];
  }
}

export interface TemporalConvOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: readonly [3, 1, 1] | readonly [3, 3, 3];
  readonly init?: 'default' | 'zero' | 'identity';
}

/** A convolution over time and, with [3,3,3], space: [B,T,H,W,inputs] -> [B,T,H,W,outputs], zeros beyond the ends. */
export class TemporalConv extends Block<TemporalConvOptions> {
  static readonly className = 'VideoLdmTemporalConv';
  private readonly kernel: Weight;
  private readonly bias: Weight;

  constructor(options: TemporalConvOptions & BlockArgs) {
    super(options);
    const {inputs, outputs, kernel, init = 'default'} = options;
    const random: Initializer = {kind: 'fanIn', fanIn: inputs * kernel[0] * kernel[1] * kernel[2]};
    const start: Initializer = init === 'identity' ? {kind: 'identity'} : init === 'zero' ? zeros : random;
    this.kernel = this.weight('weight', {shape: [...kernel, inputs, outputs], init: start, layout: 'conv3d'});
    this.bias = this.weight('bias', {shape: [outputs], init: init === 'default' ? random : zeros, layout: 'vector'});
  }

  forward(x: tf.Tensor5D): tf.Tensor5D {
    return temporalConv(x, this.kernel.value as tf.Tensor5D, this.biasVector);
  }

  /** The same without the bias, for a caller that adds `biasVector` together with something else. */
  unbiased(x: tf.Tensor5D): tf.Tensor5D {
    return temporalConv(x, this.kernel.value as tf.Tensor5D);
  }

  /** [outputs] */
  get biasVector(): tf.Tensor1D {
    return this.bias.value as tf.Tensor1D;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor5D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape).slice(0, -1), this.options.outputs];
  }
}

export interface EmbeddingOptions {
  readonly count: number;
  readonly dim: number;
}

/** A table of vectors: int32 [...] -> [..., dim]. */
export class Embedding extends Block<EmbeddingOptions> {
  static readonly className = 'VideoLdmEmbedding';
  private readonly table: Weight;

  constructor(options: EmbeddingOptions & BlockArgs) {
    super(options);
    const {count, dim} = options;
    this.table = this.weight('weight', {
      shape: [count, dim],
      init: {kind: 'normal', deviation: 0.02},
      layout: 'embedding',
    });
  }

  /** The whole table [count, dim]. */
  get all(): tf.Tensor2D {
    return this.table.value as tf.Tensor2D;
  }

  forward(ids: tf.Tensor): tf.Tensor {
    return tf.gather(this.table.value, tf.cast(ids, 'int32'));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape), this.options.dim];
  }
}

for (const layer of [Linear, Conv2d, TemporalConv, Embedding]) tf.serialization.registerClass(layer);
