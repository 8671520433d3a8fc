// The two discriminators: of image patches (Isola et al. 2017, as latent diffusion trains its autoencoder with) and of patches
// of video, from 3-D convolutions, which alone tunes the temporal decoder (paper: adding the image one made FVD worse).
// GroupNorm stands where the originals have BatchNorm: batches of video are small, and it has no running state to resume.
import {Block, type BlockArgs, firstShape, type Shape, single} from '../layers/block.ts';
import {Conv2d, TemporalConv} from '../layers/linear.ts';
import {GroupNorm} from '../layers/norms.ts';
import * as tf from '../tf.ts';

export interface PatchDiscriminatorOptions {
  /** Channels of the first layer, doubled by each up to eight times. 64 in latent diffusion. */
  readonly channels: number;
  /** Layers of stride 2. 3 in latent diffusion. */
  readonly layers: number;
}

const leaky = <T extends tf.Tensor>(x: T): T => tf.leakyRelu(x, 0.2) as T;
const groupsOf = (channels: number) => Math.min(32, channels);

/** Pixels [N,H,W,3] -> one logit a patch, [N,h,w,1]. */
export class PatchDiscriminator extends Block<PatchDiscriminatorOptions> {
  static readonly className = 'VideoLdmPatchDiscriminator';
  private readonly convs: Conv2d[];
  private readonly norms: GroupNorm[];
  private readonly convOut: Conv2d;

  constructor(options: PatchDiscriminatorOptions & BlockArgs) {
    super(options);
    const {channels, layers} = options;
    const width = (i: number) => channels * Math.min(2 ** i, 8);
    this.convs = Array.from({length: layers + 1}, (_, i) => {
      const sizes = {
        inputs: i === 0 ? 3 : width(i - 1),
        outputs: width(i),
        kernel: 4,
        stride: i < layers ? 2 : 1,
        pad: 1,
      };
      return this.child(`convs.${i}`, new Conv2d({...sizes, bias: i === 0}));
    });
    this.norms = Array.from({length: layers}, (_, i) =>
      this.child(
        `norms.${i + 1}`,
        new GroupNorm({channels: width(i + 1), groups: groupsOf(width(i + 1)), epsilon: 1e-5}),
      ),
    );
    this.convOut = this.child('conv_out', new Conv2d({inputs: width(layers), outputs: 1, kernel: 4, pad: 1}));
  }

  forward(pixels: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      let h = pixels;
      for (const [i, conv] of this.convs.entries()) {
        h = conv.forward(h);
        const norm = this.norms[i - 1];
        h = leaky(norm ? norm.forward(h) : h);
      }
      return this.convOut.forward(h);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor4D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...this.convs, this.convOut].reduce((at: Shape, conv) => conv.computeOutputShape(at), firstShape(shape));
  }
}

export interface VideoDiscriminatorOptions {
  readonly channels: number;
  /** Layers, each halving width and height; sizes must divide by 2^layers. */
  readonly layers: number;
  /** How many of the layers, from the first, halve the number of frames too; frames must divide by 2^this. */
  readonly temporalLayers: number;
}

/**
 * Clips [B,T,H,W,3] -> one logit a patch of space and time. A layer of stride 2 is a (3,3,3) convolution over maps whose
 * 2x2 (x2) neighbours have become channels: every engine has fast kernels for it, which strided 3-D convolutions lack.
 */
export class VideoDiscriminator extends Block<VideoDiscriminatorOptions> {
  static readonly className = 'VideoLdmVideoDiscriminator';
  private readonly convs: TemporalConv[];
  private readonly norms: GroupNorm[];
  private readonly convOut: TemporalConv;

  constructor(options: VideoDiscriminatorOptions & BlockArgs) {
    super(options);
    const {channels, layers, temporalLayers} = options;
    const width = (i: number) => channels * Math.min(2 ** i, 8);
    const kernel = [3, 3, 3] as const;
    this.convs = Array.from({length: layers}, (_, i) => {
      const folded = (i < temporalLayers ? 8 : 4) * (i === 0 ? 3 : width(i - 1));
      return this.child(`convs.${i}`, new TemporalConv({inputs: folded, outputs: width(i), kernel}));
    });
    this.norms = Array.from({length: layers - 1}, (_, i) =>
      this.child(
        `norms.${i + 1}`,
        new GroupNorm({channels: width(i + 1), groups: groupsOf(width(i + 1)), epsilon: 1e-5}),
      ),
    );
    this.convOut = this.child('conv_out', new TemporalConv({inputs: width(layers - 1), outputs: 1, kernel}));
  }

  /** @throws Error where the clip's sizes do not halve evenly. */
  forward(clips: tf.Tensor5D): tf.Tensor5D {
    return tf.tidy(() => {
      let h = clips;
      for (const [i, conv] of this.convs.entries()) {
        h = conv.forward(folded(h, i < this.options.temporalLayers));
        const norm = this.norms[i - 1];
        h = leaky(norm ? norm.forward(h) : h);
      }
      return this.convOut.forward(h);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor5D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    const [b = null, t = null, h = null, w = null] = firstShape(shape);
    const {layers, temporalLayers} = this.options;
    const part = (size: number | null, times: number) => (size === null ? null : size / 2 ** times);
    return [b, part(t, temporalLayers), part(h, layers), part(w, layers), 1];
  }
}

/** Neighbours of 2x2 pixels (and of 2 frames) as channels: [B,T,H,W,C] -> [B,T(/2),H/2,W/2,4C (8C)], by moves of rank 4. */
function folded(x: tf.Tensor5D, inTime: boolean): tf.Tensor5D {
  const [b, t, h, w, c] = x.shape;
  if (h % 2 !== 0 || w % 2 !== 0 || (inTime && t % 2 !== 0)) {
    throw new Error(
      `The video discriminator cannot halve clips of [${x.shape}]: choose sizes (and frames) that divide by 2 at each layer.`,
    );
  }
  const rows = tf.reshape(x, [(b * t * h) / 2, 2, w / 2, 2 * c]);
  const space: tf.Tensor5D = tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [b, t, h / 2, w / 2, 4 * c]);
  if (!inTime) return space;
  const pairs = tf.reshape(space, [(b * t) / 2, 2, (h * w) / 4, 4 * c]);
  return tf.reshape(tf.transpose(pairs, [0, 2, 1, 3]), [b, t / 2, h / 2, w / 2, 8 * c]);
}

for (const layer of [PatchDiscriminator, VideoDiscriminator]) tf.serialization.registerClass(layer);
