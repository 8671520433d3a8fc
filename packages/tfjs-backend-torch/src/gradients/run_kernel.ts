// Runs a kernel by name, differentiably: the seam to TensorFlow.js's loosely typed kernel maps for gradients.
import {
  engine,
  getBackend,
  getKernel,
  type NamedAttrMap,
  type NamedTensorMap,
  type Tensor,
} from '@tensorflow/tfjs-core';

export function runKernel(name: string, inputs: Record<string, Tensor>, attrs: object): Tensor {
  return engine().runKernel(name, inputs as NamedTensorMap, attrs as NamedAttrMap) as Tensor;
}

export function hasKernel(name: string): boolean {
  return getKernel(name, getBackend()) != null;
}
