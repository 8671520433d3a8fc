// Boxes as tokens for cross-attention: what stands where in the picture. The paper trains a box-conditioned image model and
// leaves its form open; here each box is one token, its class embedding and the sinusoids of its corners through an MLP.
import {silu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, several} from './block.ts';
import {BOX_FEATURES, FIRST_BOX_CLASS} from './box_features.ts';
import {Embedding, Linear} from './linear.ts';

export interface BoxTokensOptions {
  readonly classes: number;
  readonly dim: number;
}

/** Classes and features of boxes -> tokens. */
export class BoxTokens extends Block<BoxTokensOptions> {
  static readonly className = 'VideoLdmBoxTokens';
  private readonly classes: Embedding;
  private readonly linear1: Linear;
  private readonly linear2: Linear;

  constructor(options: BoxTokensOptions & BlockArgs) {
    super(options);
    const {classes, dim} = options;
    this.classes = this.child('classes', new Embedding({count: FIRST_BOX_CLASS + classes, dim}));
    this.linear1 = this.child('linear_1', new Linear({inputs: BOX_FEATURES, outputs: dim}));
    this.linear2 = this.child('linear_2', new Linear({inputs: dim, outputs: dim}));
  }

  /** classes int32 [B,N] (UNKNOWN_BOX, NO_BOX, or FIRST_BOX_CLASS + class), features [B,N,BOX_FEATURES] -> [B,N,dim]. */
  forward(classes: tf.Tensor2D, features: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const kinds = this.classes.forward(classes);
      const places = this.linear2.forward(silu(this.linear1.forward(features)));
      const isBox = tf.cast(tf.greaterEqual(classes, FIRST_BOX_CLASS), 'float32');
      return tf.add(kinds, tf.mul(places, tf.expandDims(isBox, 2))) as tf.Tensor3D;
    });
  }

  /** Inputs: [classes, features]. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [classes, features] = several(inputs);
    return this.forward(classes as tf.Tensor2D, features as tf.Tensor3D);
  }
}

tf.serialization.registerClass(BoxTokens);
