// The features of given frames, for prediction and interpolation. The paper sends (mask x latents, mask) "through a learned
// downsampling operation" into the temporal layers and leaves its form open. Here: a 3x3 convolution and, for each further
// level, one of stride 2, with SiLU after each and no biases, so that an absent context and one of zeros are the same
// thing; at each temporal layer a projection that starts at zero, so that adding the path changes nothing until it learns.
// 32 channels cost 0.67M parameters on SD: the paper's 1,509M for its interpolation model leaves room for less than 0.8M.
import {silu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, firstShape, type Shape, single} from './block.ts';
import {Conv2d} from './linear.ts';

export interface ContextPathOptions {
  /** Channels of (masked latents, mask): latent channels + 1. */
  readonly inputs: number;
  readonly channels: number;
  readonly levels: number;
}

/** (mask x latents, mask) [B,T,H,W,inputs] -> features at every level, [B,T,H/2^i,W/2^i,channels]. */
export class ContextPath extends Block<ContextPathOptions> {
  static readonly className = 'VideoLdmContextPath';
  private readonly convs: Conv2d[];

  constructor(options: ContextPathOptions & BlockArgs) {
    super(options);
    const {inputs, channels, levels} = options;
    this.convs = Array.from({length: levels}, (_, i) =>
      this.child(
        `convs.${i}`,
        new Conv2d({
          inputs: i === 0 ? inputs : channels,
          outputs: channels,
          kernel: 3,
          stride: i === 0 ? 1 : 2,
          pad: 1,
          bias: false,
        }),
      ),
    );
  }

  forward(given: tf.Tensor5D): tf.Tensor5D[] {
    const [b, t, height, width, c] = given.shape;
    let x: tf.Tensor4D = tf.reshape(given, [b * t, height, width, c]);
    return this.convs.map(conv => {
      x = silu(conv.forward(x)) as tf.Tensor4D;
      const [, h, w, k] = x.shape;
      return tf.reshape(x, [b, t, h, w, k]);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    return this.forward(single(inputs) as tf.Tensor5D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape[] {
    let [b = null, t = null, h = null, w = null] = firstShape(shape);
    return this.convs.map((_, i) => {
      if (i > 0) {
        h = h === null ? null : Math.ceil(h / 2);
        w = w === null ? null : Math.ceil(w / 2);
      }
      return [b, t, h, w, this.options.channels];
    });
  }
}

tf.serialization.registerClass(ContextPath);
