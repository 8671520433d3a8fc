// Attention over tokens and the gated feed-forward layer: what the transformer blocks, spatial and temporal, are made of.
import {attention, geglu, temporalAttention} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, firstShape, type Shape, several, single} from './block.ts';
import {Linear} from './linear.ts';
import {stripKeys} from './strips.ts';

export interface AttentionOptions {
  readonly channels: number;
  readonly heads: number;
  /** Width of what keys and values are made from; absent: the tokens themselves. */
  readonly contextDim?: number;
  /** Biases on queries, keys and values: the autoencoder has them, the UNet not. */
  readonly bias?: boolean;
}

/** Multi-head attention, of tokens to each other or to a context, with an output projection. */
export class Attention extends Block<AttentionOptions> {
  static readonly className = 'VideoLdmAttention';
  private readonly toQ: Linear;
  private readonly toK: Linear;
  private readonly toV: Linear;
  private readonly toOut: Linear;

  constructor(options: AttentionOptions & BlockArgs) {
    super(options);
    const {channels, heads, contextDim, bias = false} = options;
    if (channels % heads !== 0) throw new Error(`Attention: ${channels} channels do not divide into ${heads} heads.`);
    const source = contextDim ?? channels;
    this.toQ = this.child('to_q', new Linear({inputs: channels, outputs: channels, bias}));
    this.toK = this.child('to_k', new Linear({inputs: source, outputs: channels, bias}));
    this.toV = this.child('to_v', new Linear({inputs: source, outputs: channels, bias}));
    this.toOut = this.child('to_out.0', new Linear({inputs: channels, outputs: channels}));
  }

  /**
   * tokens [N,L,C]; `context` [B,M,D] where B divides N: row b serves the N/B token rows from b*N/B on, without a copy,
   * since queries do not see each other.
   */
  forward(tokens: tf.Tensor3D, context?: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const source = context ?? tokens;
      const [n, l, c] = tokens.shape;
      const [b] = source.shape;
      if (n % b !== 0) throw new Error(`${b} contexts do not divide ${n} rows of tokens.`);
      const q = tf.reshape(this.toQ.forward(tokens), [b, (n / b) * l, c]);
      const keysOf = (from: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] => [
        this.toK.forward(from),
        this.toV.forward(from),
      ];
      const [k, v] = (context ? undefined : stripKeys(this, tokens, keysOf)) ?? keysOf(source);
      const mixed = attention(q, k, v, {heads: this.options.heads});
      return tf.reshape(this.toOut.forward(mixed), tokens.shape);
    });
  }

  /** Attention of each place to itself at other times: tokens [B,T,P,C]. `window`: the largest distance in frames seen. */
  overTime(tokens: tf.Tensor4D, window?: number): tf.Tensor4D {
    return tf.tidy(() => {
      const {heads} = this.options;
      const [q, k, v] = [this.toQ.forward(tokens), this.toK.forward(tokens), this.toV.forward(tokens)];
      return this.toOut.forward(temporalAttention(q, k, v, window === undefined ? {heads} : {heads, window}));
    });
  }

  /** Inputs: tokens, or [tokens, context]. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [tokens, context] = several(inputs);
    return this.forward(tokens as tf.Tensor3D, context as tf.Tensor3D | undefined);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return firstShape(shape);
  }
}

export interface FeedForwardOptions {
  readonly channels: number;
}

/** C -> 8C, halved by GEGLU (value x gelu(gate)) to 4C, -> C. */
export class FeedForward extends Block<FeedForwardOptions> {
  static readonly className = 'VideoLdmFeedForward';
  private readonly expand: Linear;
  private readonly contract: Linear;

  constructor(options: FeedForwardOptions & BlockArgs) {
    super(options);
    const {channels} = options;
    this.expand = this.child('net.0.proj', new Linear({inputs: channels, outputs: 8 * channels}));
    this.contract = this.child('net.2', new Linear({inputs: 4 * channels, outputs: channels}));
  }

  forward<T extends tf.Tensor>(x: T): T {
    return tf.tidy(() => this.contract.forward(geglu(this.expand.forward(x)))) as T;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

for (const layer of [Attention, FeedForward]) tf.serialization.registerClass(layer);
