// The transformer block over time: frame positions, then feed-forward, attention of each place over the frames, attention to
// the text, feed-forward. It stays in [B,T,P,C] throughout: only the attention over time looks along T, so nothing is moved.
import * as tf from '../tf.ts';
import {Attention, FeedForward} from './attention.ts';
import {Block, type BlockArgs, firstShape, type Shape, several} from './block.ts';
import {LayerNorm} from './norms.ts';

export interface TemporalTransformerBlockOptions {
  readonly channels: number;
  readonly heads: number;
  /** Width of the text; absent: no attention to text. */
  readonly contextDim?: number;
  /** The largest distance in frames that attention sees; absent: all. */
  readonly window?: number;
}

/** ff_in, self-attention over time, cross-attention, ff; each after a LayerNorm and added to its input. */
export class TemporalTransformerBlock extends Block<TemporalTransformerBlockOptions> {
  static readonly className = 'VideoLdmTemporalTransformerBlock';
  private readonly normIn: LayerNorm;
  private readonly ffIn: FeedForward;
  private readonly norm1: LayerNorm;
  private readonly attn1: Attention;
  private readonly cross: {norm: LayerNorm; attention: Attention} | undefined;
  private readonly norm3: LayerNorm;
  private readonly ff: FeedForward;

  constructor(options: TemporalTransformerBlockOptions & BlockArgs) {
    super(options);
    const {channels, heads, contextDim} = options;
    this.normIn = this.child('norm_in', new LayerNorm({channels}));
    this.ffIn = this.child('ff_in', new FeedForward({channels}));
    this.norm1 = this.child('norm1', new LayerNorm({channels}));
    this.attn1 = this.child('attn1', new Attention({channels, heads}));
    if (contextDim !== undefined) {
      const norm = this.child('norm2', new LayerNorm({channels}));
      this.cross = {norm, attention: this.child('attn2', new Attention({channels, heads, contextDim}))};
    }
    this.norm3 = this.child('norm3', new LayerNorm({channels}));
    this.ff = this.child('ff', new FeedForward({channels}));
  }

  /** tokens [B,T,P,C], `context` [B,M,D] (one text for the whole clip); `window` overrides the option. */
  forward(tokens: tf.Tensor4D, context?: tf.Tensor3D, window = this.options.window): tf.Tensor4D {
    return tf.tidy(() => {
      let h: tf.Tensor4D = tf.add(tokens, this.ffIn.forward(this.normIn.forward(tokens)));
      h = tf.add(h, this.attn1.overTime(this.norm1.forward(h), window));
      if (this.cross) {
        if (!context)
          throw new Error('This temporal transformer attends to text: pass a context, or build it without contextDim.');
        const [b, t, p, c] = tokens.shape;
        const queries: tf.Tensor3D = tf.reshape(this.cross.norm.forward(h), [b, t * p, c]);
        h = tf.add(h, tf.reshape(this.cross.attention.forward(queries, context), tokens.shape));
      }
      return tf.add(h, this.ff.forward(this.norm3.forward(h)));
    });
  }

  /** Inputs: tokens, or [tokens, context]. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [tokens, context] = several(inputs);
    return this.forward(tokens as tf.Tensor4D, context as tf.Tensor3D | undefined);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return firstShape(shape);
  }
}

tf.serialization.registerClass(TemporalTransformerBlock);
