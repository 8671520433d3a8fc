// A stage's UNet out of its parent's, with what the parent was not told of: paths of new conditions, whose last weights start at
// zero, so that the model begins as its parent is.
import type {WeightSpec} from '../../src/layers/block.ts';
import type {UNet, UNetConfig} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {growFrom} from './frozen.ts';
import type {HostModel} from './parts.ts';

/** A part of a UNet that is there with one field of its configuration alone. */
interface Path {
  readonly field: keyof UNetConfig;
  readonly weights: RegExp;
  /** Those of them that what they add is a multiple of. */
  readonly last: RegExp;
}

const paths: readonly Path[] = [
  {field: 'addedNumbers', weights: /^add_embedding\./, last: /^add_embedding\.linear_2\./},
  {field: 'classEmbedding', weights: /^class_embedding\./, last: /^class_embedding\./},
  {
    field: 'crossAttentionDim',
    weights: /\.transformer_blocks\.\d+\.(norm2|attn2)\./,
    last: /\.transformer_blocks\.\d+\.attn2\.to_out\./,
  },
];

/**
 * A new UNet where there is no parent. Layers over time may be new, and the paths of what the parent's configuration lacks;
 * everything else comes from the parent.
 * @throws UserError where the parent's weights do not fit.
 */
export function growUNet(network: UNet, parent: HostModel<UNetConfig> | undefined, label: string, seed: number): UNet {
  const added = paths.filter(({field}) => parent && parent.config[field] === undefined);
  const isAdded = ({path}: WeightSpec) => added.some(({weights}) => weights.test(path));
  const isLast = ({path}: WeightSpec) => added.some(({last}) => last.test(path));
  const unet = growFrom(network, parent, label, seed, spec => spec.part === 'temporal' || isAdded(spec));
  return parent ? unet.allocateFrom(spec => (isLast(spec) ? tf.zeros([...spec.shape]) : undefined)) : unet;
}
