// Counting a model without allocating it.
import type {Block, WeightPart, WeightSpec} from '../layers/block.ts';

export interface ParameterCount {
  readonly tensors: number;
  readonly parameters: number;
}

/** Weights and their elements, of those chosen. */
export function countParameters(model: Block, chosen: (spec: WeightSpec) => boolean = () => true): ParameterCount {
  const specs = model.weightSpecs().filter(chosen);
  return {
    tensors: specs.length,
    parameters: specs.reduce((sum, {shape}) => sum + shape.reduce((product, size) => product * size, 1), 0),
  };
}

/** The same for one part of a model. */
export function countPart(model: Block, part: WeightPart): ParameterCount {
  return countParameters(model, spec => spec.part === part);
}
