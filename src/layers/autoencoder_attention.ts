// The single-head attention in the middle of the autoencoder: over all places of one frame.
import * as tf from '../tf.ts';
import {Attention} from './attention.ts';
import {Block, type BlockArgs, single} from './block.ts';
import {GroupNorm} from './norms.ts';

export interface AutoencoderAttentionOptions {
  readonly channels: number;
  readonly groups: number;
}

/** GroupNorm (epsilon 1e-6), attention with biases, + input. */
export class AutoencoderAttention extends Block<AutoencoderAttentionOptions> {
  static readonly className = 'VideoLdmAutoencoderAttention';
  private readonly norm: GroupNorm;
  private readonly attention: Attention;

  constructor(options: AutoencoderAttentionOptions & BlockArgs) {
    super(options);
    const {channels, groups} = options;
    this.norm = this.child('group_norm', new GroupNorm({channels, groups, epsilon: 1e-6}));
    this.attention = this.child('', new Attention({channels, heads: 1, bias: true}));
  }

  /** [N,H,W,C] -> the same shape. */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const [n, h, w, c] = x.shape;
      const tokens = tf.reshape(this.norm.forward(x), [n, h * w, c]) as tf.Tensor3D;
      return tf.add(x, tf.reshape(this.attention.forward(tokens), x.shape));
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor4D);
  }
}

tf.serialization.registerClass(AutoencoderAttention);
