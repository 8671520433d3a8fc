// The transformer layers of CLIP's text encoders.
import {attention, gelu, quickGelu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, single} from './block.ts';
import {Linear} from './linear.ts';
import {LayerNorm} from './norms.ts';

export interface ClipLayerOptions {
  readonly channels: number;
  readonly hidden: number;
  readonly heads: number;
  readonly activation: 'gelu' | 'quick_gelu';
}

/** Causal self-attention with biases, then an MLP; each after a LayerNorm and added to its input. */
export class ClipLayer extends Block<ClipLayerOptions> {
  static readonly className = 'VideoLdmClipLayer';
  private readonly norm1: LayerNorm;
  private readonly q: Linear;
  private readonly k: Linear;
  private readonly v: Linear;
  private readonly out: Linear;
  private readonly norm2: LayerNorm;
  private readonly fc1: Linear;
  private readonly fc2: Linear;

  constructor(options: ClipLayerOptions & BlockArgs) {
    super(options);
    const {channels, hidden} = options;
    const square = () => new Linear({inputs: channels, outputs: channels});
    this.norm1 = this.child('layer_norm1', new LayerNorm({channels}));
    this.q = this.child('self_attn.q_proj', square());
    this.k = this.child('self_attn.k_proj', square());
    this.v = this.child('self_attn.v_proj', square());
    this.out = this.child('self_attn.out_proj', square());
    this.norm2 = this.child('layer_norm2', new LayerNorm({channels}));
    this.fc1 = this.child('mlp.fc1', new Linear({inputs: channels, outputs: hidden}));
    this.fc2 = this.child('mlp.fc2', new Linear({inputs: hidden, outputs: channels}));
  }

  /** [B,L,C] -> [B,L,C]; token i sees tokens 0..i. */
  forward(tokens: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const {heads, activation} = this.options;
      const x = this.norm1.forward(tokens);
      const mixed = attention(this.q.forward(x), this.k.forward(x), this.v.forward(x), {heads, causal: true});
      const h: tf.Tensor3D = tf.add(tokens, this.out.forward(mixed));
      const hidden = this.fc1.forward(this.norm2.forward(h));
      return tf.add(h, this.fc2.forward(activation === 'gelu' ? gelu(hidden) : quickGelu(hidden)));
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor3D);
  }
}

tf.serialization.registerClass(ClipLayer);
