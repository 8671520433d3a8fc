// The residual block of Stable Diffusion's UNet (with a timestep embedding) and autoencoder (without).
import {addPerSample, silu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, firstShape, type Shape, several} from './block.ts';
import {Conv2d, Linear} from './linear.ts';
import {GroupNorm} from './norms.ts';
import type {StripStep} from './strips.ts';

export interface ResnetBlockOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Width of the timestep embedding; absent: the block takes none. */
  readonly embedding?: number;
  readonly groups: number;
  readonly epsilon: number;
}

/** GroupNorm, SiLU, conv 3x3, + embedding, GroupNorm, SiLU, conv 3x3, + input (through a 1x1 conv where channels differ). */
export class ResnetBlock extends Block<ResnetBlockOptions> {
  static readonly className = 'VideoLdmResnetBlock';
  private readonly norm1: GroupNorm;
  private readonly conv1: Conv2d;
  private readonly embedding: Linear | undefined;
  private readonly norm2: GroupNorm;
  private readonly conv2: Conv2d;
  private readonly shortcut: Conv2d | undefined;

  constructor(options: ResnetBlockOptions & BlockArgs) {
    super(options);
    const {inputs, outputs, embedding, groups, epsilon} = options;
    this.norm1 = this.child('norm1', new GroupNorm({channels: inputs, groups, epsilon}));
    this.conv1 = this.child('conv1', new Conv2d({inputs, outputs, kernel: 3}));
    if (embedding !== undefined) this.embedding = this.child('time_emb_proj', new Linear({inputs: embedding, outputs}));
    this.norm2 = this.child('norm2', new GroupNorm({channels: outputs, groups, epsilon}));
    this.conv2 = this.child('conv2', new Conv2d({inputs: outputs, outputs, kernel: 3}));
    if (inputs !== outputs) this.shortcut = this.child('conv_shortcut', new Conv2d({inputs, outputs, kernel: 1}));
  }

  /**
   * x [N,H,W,inputs] -> [N,H,W,outputs]. `embedding` [B, width], after its SiLU, where B divides N: row b is for the N/B
   * images from b*N/B on (the frames of video b).
   */
  forward(x: tf.Tensor4D, embedding?: tf.Tensor2D): tf.Tensor4D {
    return tf.tidy(() => {
      let h = this.norm1.forward(x, {silu: true});
      if (this.embedding) {
        if (!embedding) throw new Error('This residual block needs a timestep embedding.');
        // One pass over the maps for the bias and the embedding.
        h = addPerGroup(this.conv1.unbiased(h), this.embedding.forward(embedding), this.conv1.biasVector);
      } else h = this.conv1.forward(h);
      h = this.conv2.forward(this.norm2.forward(h, {silu: true}));
      return tf.add(this.shortcut ? this.shortcut.forward(x) : x, h);
    });
  }

  /** The block on strips: two 3x3 convolutions look one row further each. */
  step(embedding?: tf.Tensor2D): StripStep {
    return {halo: 2, scale: 1, channels: this.options.outputs, run: x => this.forward(x!, embedding)};
  }

  /** Inputs: x, or [x, embedding] with the embedding before its SiLU. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [x, embedding] = several(inputs);
    return this.forward(x as tf.Tensor4D, embedding && (silu(embedding) as tf.Tensor2D));
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape).slice(0, -1), this.options.outputs];
  }
}

/** Adds row b of [B,C], and `bias` [C], to the N/B maps of x [N,H,W,C] that belong to it: a reshape, no repeated rows. */
export function addPerGroup(x: tf.Tensor4D, rows: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  const [b] = rows.shape;
  if (b === n) return addPerSample(x, rows, bias);
  if (n % b !== 0) throw new Error(`${b} embeddings do not divide ${n} images.`);
  return tf.reshape(addPerSample(tf.reshape(x, [b, (n / b) * h, w, c]), rows, bias), x.shape);
}

tf.serialization.registerClass(ResnetBlock);
