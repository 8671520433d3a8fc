// Models small enough for tests, with every kind of layer.

import {createHash} from 'node:crypto';
import type {TemporalConfig, UNetConfig} from '../../src/models/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

export const tinyTemporal: TemporalConfig = {
  conv: true,
  attention: true,
  kernel: [3, 1, 1],
  alpha: {kind: 'learned', init: 0.5, per: 'layer'},
};

export const tinyUNet: UNetConfig = {
  inChannels: 4,
  outChannels: 4,
  channels: [8, 16],
  layersPerBlock: 1,
  attention: [false, true],
  heads: {dim: 8},
  crossAttentionDim: 6,
  linearProjection: true,
  normGroups: 4,
};

let drawn = 0;

/** Standard normals: different at each call, the same in each run. */
export function random<R extends tf.Rank>(...shape: tf.ShapeMap[R]): tf.Tensor<R> {
  return tf.tensor(normals({seed: 11, stream: 2000, step: drawn++}, tf.util.sizeFromShape([...shape])), [
    ...shape,
  ]) as tf.Tensor<R>;
}

/** Gives every weight that starts at zero some values, so that nothing hides behind it. */
export function shake(weights: ReadonlyMap<string, tf.Variable>, scale = 0.2): void {
  for (const variable of weights.values()) {
    const moved = tf.tidy(() => tf.add(variable, tf.mul(random(...(variable.shape as tf.ShapeMap[tf.Rank])), scale)));
    variable.assign(moved);
    moved.dispose();
  }
}

/** A hash of the bytes of a tensor: quick to compare and short to print. */
export function bytes(x: tf.Tensor): string {
  return createHash('sha256').update(Float32Array.from(x.dataSync())).digest('hex');
}
