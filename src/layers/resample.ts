// Halving and doubling the size of feature maps, as Stable Diffusion does it.
import {upsampleNearest2x} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, firstShape, type Shape, single} from './block.ts';
import {Conv2d} from './linear.ts';
import type {StripStep} from './strips.ts';

export interface ResampleOptions {
  readonly channels: number;
}

export interface DownsampleOptions extends ResampleOptions {
  /** The UNet pads all sides; the autoencoder's encoder only bottom and right. */
  readonly pad: 'all' | 'end';
}

/** A 3x3 convolution of stride 2. */
export class Downsample extends Block<DownsampleOptions> {
  static readonly className = 'VideoLdmDownsample';
  private readonly conv: Conv2d;

  constructor(options: DownsampleOptions & BlockArgs) {
    super(options);
    const {channels, pad} = options;
    const padding =
      pad === 'all'
        ? 1
        : ([
            [0, 1],
            [0, 1],
          ] as const);
    this.conv = this.child(
      'conv',
      new Conv2d({inputs: channels, outputs: channels, kernel: 3, stride: 2, pad: padding}),
    );
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.conv.forward(x);
  }

  /** On strips of an even number of rows. */
  step(): StripStep {
    return {halo: 2, scale: 0.5, channels: this.options.channels, run: x => this.forward(x!)};
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor4D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return this.conv.computeOutputShape(shape);
  }
}

/** Nearest neighbours doubled, then a 3x3 convolution. */
export class Upsample extends Block<ResampleOptions> {
  static readonly className = 'VideoLdmUpsample';
  private readonly conv: Conv2d;

  constructor(options: ResampleOptions & BlockArgs) {
    super(options);
    const {channels} = options;
    this.conv = this.child('conv', new Conv2d({inputs: channels, outputs: channels, kernel: 3}));
  }

  /** `size` [h,w] cuts the doubled map back where the encoder had met an odd size. */
  forward(x: tf.Tensor4D, size?: readonly [number, number]): tf.Tensor4D {
    return tf.tidy(() => {
      let up = upsampleNearest2x(x);
      const [n, h, w, c] = up.shape;
      if (size && (size[0] !== h || size[1] !== w)) up = tf.slice(up, [0, 0, 0, 0], [n, size[0], size[1], c]);
      return this.conv.forward(up);
    });
  }

  /** On strips. `width`: cuts the doubled map back as `size` does; rows are cut by whoever joins the strips. */
  step(width?: number): StripStep {
    const run = (x: tf.Tensor4D) => this.forward(x, width === undefined ? undefined : [2 * x.shape[1], width]);
    return {halo: 1, scale: 2, channels: this.options.channels, run};
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor4D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    const [n = null, h = null, w = null, c = null] = firstShape(shape);
    return [n, h === null ? null : 2 * h, w === null ? null : 2 * w, c];
  }
}

for (const layer of [Downsample, Upsample]) tf.serialization.registerClass(layer);
