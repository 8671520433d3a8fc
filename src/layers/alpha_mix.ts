// The learned mix of what a spatial layer gives and what the temporal layer after it gives (paper: alpha z + (1-alpha) z').
import {alphaMix} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, firstShape, type Shape, several, type Weight} from './block.ts';

export interface AlphaOptions {
  /** learned: alpha = sigmoid(parameter), never clamped, so that its gradient never dies; fixed: alpha is `init` itself. */
  readonly kind: 'learned' | 'fixed';
  /** The parameter's start (0.5 gives alpha 0.62), or alpha. */
  readonly init: number;
  /** One alpha, or one for every frame. */
  readonly per: 'layer' | 'frame';
  /** How many frames there are, for `per: 'frame'`. */
  readonly frames?: number;
}

export interface AlphaMixOptions extends AlphaOptions {
  /** alpha multiplies the temporal branch: what published temporal decoders mean by it. */
  readonly switched?: boolean;
}

/** alpha x spatial + (1 - alpha) x temporal, or the other way round where switched. */
export class AlphaMix extends Block<AlphaMixOptions> {
  static readonly className = 'VideoLdmAlphaMix';
  private readonly factor: Weight | undefined;

  constructor(options: AlphaMixOptions & BlockArgs) {
    super(options);
    const {kind, init, per, frames} = options;
    if (kind === 'fixed' && !(init >= 0 && init <= 1))
      throw new Error(`A fixed alpha must lie in [0, 1], got ${init}.`);
    if (per === 'frame' && frames === undefined)
      throw new Error('alpha per frame needs to know how many frames: set alpha.frames.');
    if (kind === 'fixed') return;
    const shape = [per === 'frame' ? (frames ?? 1) : 1];
    this.factor = this.weight('mix_factor', {shape, init: {kind: 'constant', value: init}, layout: 'vector'});
  }

  /** Both [B,T,...,C]. */
  forward<T extends tf.Tensor>(spatial: T, temporal: T): T {
    const {init, switched = false, per, frames} = this.options;
    if (!this.factor) {
      const alpha = switched ? 1 - init : init;
      return tf.tidy(() => tf.add(tf.mul(spatial, alpha), tf.mul(temporal, 1 - alpha))) as T;
    }
    if (per === 'frame' && frames !== spatial.shape[1]) {
      throw new Error(
        `This model learned one alpha for each of ${frames} frames and cannot mix ${spatial.shape[1]}: use alpha.per "layer".`,
      );
    }
    return alphaMix(spatial, temporal, this.factor.value, {switched}) as T;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [spatial, temporal] = several(inputs);
    return this.forward(spatial!, temporal!);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return firstShape(shape);
  }
}

tf.serialization.registerClass(AlphaMix);
