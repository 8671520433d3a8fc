// LPIPS (Zhang et al. 2018): the distance of two images in the features of VGG-16. Its weights are the user's to bring, as
// torchvision's vgg16 and the linear layers of the lpips package.
import {Block, type BlockArgs, type Shape, several} from '../layers/block.ts';
import {Conv2d} from '../layers/linear.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';

/** Channels of VGG-16's convolutions and their place in torchvision's `features`, by stage; a stage ends before a pooling. */
const stages = [
  [
    [0, 3, 64],
    [2, 64, 64],
  ],
  [
    [5, 64, 128],
    [7, 128, 128],
  ],
  [
    [10, 128, 256],
    [12, 256, 256],
    [14, 256, 256],
  ],
  [
    [17, 256, 512],
    [19, 512, 512],
    [21, 512, 512],
  ],
  [
    [24, 512, 512],
    [26, 512, 512],
    [28, 512, 512],
  ],
] as const;

/** Images in [-1,1] to what VGG-16 was trained on. */
const shift = [-0.03, -0.088, -0.188];
const scale = [0.458, 0.448, 0.45];

/** Pixels [N,H,W,3] twice -> one distance an image, [N]. */
export class Lpips extends Block {
  static readonly className = 'VideoLdmLpips';
  private readonly stages: Conv2d[][];
  private readonly heads: Conv2d[];

  constructor(options: BlockArgs = {}) {
    super(options);
    this.stages = stages.map(stage =>
      stage.map(([place, inputs, outputs]) =>
        this.child(`features.${place}`, new Conv2d({inputs, outputs, kernel: 3})),
      ),
    );
    this.heads = stages.map((stage, i) =>
      this.child(`lin${i}.model.1`, new Conv2d({inputs: stage[0][2], outputs: 1, kernel: 1, bias: false})),
    );
  }

  /** @throws UserError before the weights are loaded. */
  forward(a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor1D {
    if (!this.allocated) {
      throw new UserError(
        "LPIPS has no weights: give a safetensors file with torchvision's vgg16 (features.*) and the lpips package's linear layers (lin0.model.1.weight ..), or set the perceptual loss to 0.",
      );
    }
    return tf.tidy(() => {
      const n = a.shape[0];
      const constant = (name: string, values: number[]) => this.constant(name, () => tf.tensor1d(values));
      let h: tf.Tensor4D = tf.div(tf.sub(tf.concat([a, b]), constant('shift', shift)), constant('scale', scale));
      const distances = this.stages.map((stage, i) => {
        if (i > 0) h = tf.maxPool(h, 2, 2, 'valid');
        for (const conv of stage) h = tf.relu(conv.forward(h));
        const length = tf.add(tf.sqrt(tf.sum(tf.square(h), 3, true)), 1e-10);
        const [x, y] = tf.split(tf.div(h, length), [n, n]) as [tf.Tensor4D, tf.Tensor4D];
        return tf.mean(this.heads[i]!.forward(tf.square(tf.sub(x, y))), [1, 2, 3]);
      });
      return tf.addN(distances) as tf.Tensor1D;
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [a, b] = several(inputs);
    return this.forward(a as tf.Tensor4D, b as tf.Tensor4D);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    const first = shape[0];
    return [Array.isArray(first) ? (first[0] ?? null) : null];
  }
}

/** Our path of a name in torchvision's, lpips' or taming-transformers' files; undefined for what LPIPS does not use. */
export function lpipsPathOf(name: string): string | undefined {
  if (/^(classifier\.|scaling_layer\.|lins\.)/.test(name)) return undefined;
  return name.replace(/^net\.slice\d\./, 'features.');
}

tf.serialization.registerClass(Lpips);
