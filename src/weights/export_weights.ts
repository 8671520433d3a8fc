// Models -> files: under diffusers' names (or Stable Video Diffusion's for temporal layers) and in torch's layout, one tensor
// in memory at a time.
import type {Block, WeightSpec} from '../layers/block.ts';
import type * as tf from '../tf.ts';
import {hostF32, toFloatDtype} from './host_tensor.ts';
import {torchShape, toTorch} from './layouts.ts';
import type {TensorSource} from './safetensors.ts';

export interface ExportOptions {
  readonly nameOf?: (path: string) => string;
  readonly chosen?: (spec: WeightSpec) => boolean;
  readonly dtype?: 'F32' | 'F16' | 'BF16';
}

/** A model's weights as tensors of a file; values are fetched from the engine when each is written. */
export function tensorsToWrite(model: Block, options: ExportOptions = {}): Map<string, TensorSource> {
  return tensorsOf(model.weightSpecs(), model.namedWeights(), options);
}

/** The same for other values under the weights' paths, such as their averages. */
export function tensorsOf(
  specs: readonly WeightSpec[],
  values: ReadonlyMap<string, tf.Tensor>,
  {nameOf = path => path, chosen = () => true, dtype = 'F32'}: ExportOptions = {},
): Map<string, TensorSource> {
  const sources = new Map<string, TensorSource>();
  for (const spec of specs.filter(chosen)) {
    const value = values.get(spec.path);
    if (!value) throw new Error(`There are no values for weight ${spec.path}.`);
    const shape = torchShape(spec.shape, spec.layout);
    const data = async () => {
      const moved = toTorch(Float32Array.from(await value.data<'float32'>()), spec.shape, spec.layout);
      return toFloatDtype(hostF32(shape, moved), dtype).data;
    };
    sources.set(nameOf(spec.path), {dtype, shape, data});
  }
  return sources;
}
