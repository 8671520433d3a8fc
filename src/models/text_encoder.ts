// The text encoders of Stable Diffusion: CLIP ViT-L/14 (1.x) and OpenCLIP ViT-H/14 (2.x), which keeps 23 of its 24 layers so
// that its output is the one before last. Weight names are those of transformers' CLIPTextModel below `text_model.`.
import {Block, type BlockArgs, firstShape, type Shape, single} from '../layers/block.ts';
import {ClipLayer} from '../layers/clip_layers.ts';
import {Embedding} from '../layers/linear.ts';
import {LayerNorm} from '../layers/norms.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';

export interface TextEncoderConfig {
  readonly vocabulary: number;
  /** Longest text in tokens. */
  readonly tokens: number;
  readonly channels: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly activation: 'gelu' | 'quick_gelu';
  /** The token that ends a text; what stands there is the pooled output. */
  readonly endToken: number;
}

const clip = {vocabulary: 49408, tokens: 77, endToken: 49407} as const;

/** Text encoders by name. */
export const textEncoderPresets = {
  'clip-vit-l': {...clip, channels: 768, hidden: 3072, layers: 12, heads: 12, activation: 'quick_gelu'},
  'openclip-vit-h': {...clip, channels: 1024, hidden: 4096, layers: 23, heads: 16, activation: 'gelu'},
} as const satisfies Record<string, TextEncoderConfig>;

/** Token ids -> one vector a token, and one for the whole text. */
export class TextEncoder extends Block<{config: TextEncoderConfig}> {
  static readonly className = 'VideoLdmTextEncoder';
  readonly config: TextEncoderConfig;
  private readonly tokenEmbedding: Embedding;
  private readonly positionEmbedding: Embedding;
  private readonly layers: ClipLayer[];
  private readonly normOut: LayerNorm;

  constructor(config: TextEncoderConfig | ({config: TextEncoderConfig} & BlockArgs)) {
    super('config' in config ? config : {config});
    this.config = this.options.config;
    const {vocabulary, tokens, channels, hidden, layers, heads, activation} = this.config;
    if (channels % heads !== 0)
      throw new UserError(`textEncoder.channels ${channels} do not divide into textEncoder.heads ${heads}.`);
    this.tokenEmbedding = this.child('embeddings.token_embedding', new Embedding({count: vocabulary, dim: channels}));
    this.positionEmbedding = this.child('embeddings.position_embedding', new Embedding({count: tokens, dim: channels}));
    this.layers = Array.from({length: layers}, (_, i) =>
      this.child(`encoder.layers.${i}`, new ClipLayer({channels, hidden, heads, activation})),
    );
    this.normOut = this.child('final_layer_norm', new LayerNorm({channels}));
  }

  /**
   * ids int32 [B,L], L at most `tokens` -> `hidden` [B,L,channels] after the last norm (what the UNet attends to), and
   * `pooled` [B,channels], the vector at the first end token. @throws Error for a longer text.
   */
  forward(ids: tf.Tensor2D): {hidden: tf.Tensor3D; pooled: tf.Tensor2D} {
    const {tokens, endToken} = this.config;
    const [b, l] = ids.shape;
    if (l > tokens) throw new Error(`A text has at most ${tokens} tokens here, got ${l}.`);
    return tf.tidy(() => {
      const positions = tf.slice(this.positionEmbedding.all, [0, 0], [l, -1]);
      let h: tf.Tensor3D = tf.add(this.tokenEmbedding.forward(ids), tf.expandDims(positions, 0));
      for (const layer of this.layers) h = layer.forward(h);
      const hidden = this.normOut.forward(h);
      // argMax gives the first of equals: padding repeats the end token in OpenCLIP's and CLIP's own tokenizers.
      const ends = tf.argMax(tf.cast(tf.equal(ids, endToken), 'int32'), 1);
      const chosen = tf.oneHot(ends, l);
      const pooled = tf.sum(tf.mul(hidden, tf.reshape(tf.cast(chosen, 'float32'), [b, l, 1])), 1) as tf.Tensor2D;
      return {hidden, pooled};
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => this.forward(tf.cast(single(inputs), 'int32') as tf.Tensor2D).hidden);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape), this.config.channels];
  }
}

tf.serialization.registerClass(TextEncoder);
