// What is written in place may share its values with no other tensor.
import {engine, type TensorInfo, Variable} from '@tensorflow/tfjs-core';
import {moveVariable} from '../capture.ts';
import type {TorchBackend} from '../torch_backend.ts';

/** A variable that shares its values with other tensors (tf.clone and tf.variable do not copy) is given its own first. */
export function makeSoleOwner(kernelName: string, input: TensorInfo, backend: TorchBackend): void {
  const data = backend.data(input.dataId);
  if (data.refCount === 1) return;
  if (!(input instanceof Variable)) {
    throw new Error(
      `${kernelName}: what is written in place must be a variable or a tensor that shares its values with no other.`,
    );
  }
  const copy = engine().makeTensorFromTensorInfo(backend.copyOf(input));
  moveVariable(input, copy);
  copy.dispose();
}
