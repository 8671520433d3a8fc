// Complex values: ONNX has a last dimension of two (real, imaginary) where TensorFlow.js has complex64.
import type {KernelSpec} from '../kernel_spec.ts';
import {input, value} from './shapes.ts';

/** The real (0) or the imaginary (1) part. */
export function part(kernel: string, which: 0 | 1): KernelSpec {
  return {
    kernel,
    complex: true,
    infer: inputs => ({shape: input(inputs, 'input').shape, dtype: 'float32'}),
    emit(e, node) {
      e.set(
        node.outputs[0]!,
        e.op('Gather', [e.name(value(node, 'input')), e.build.scalar(which, 'int64')], {axis: -1}),
      );
    },
  };
}

/** The discrete Fourier transform of each row of [rows, n]. */
export function fourier(kernel: string, inverse: 0 | 1): KernelSpec {
  return {
    kernel,
    complex: true,
    infer: inputs => ({shape: input(inputs, 'input').shape, dtype: 'complex64'}),
    emit(e, node) {
      const x = e.name(value(node, 'input'));
      const y =
        e.opset >= 20
          ? e.op('DFT', [x, '', e.build.scalar(1, 'int64')], {inverse})
          : e.op('DFT', [x], {axis: 1, inverse});
      e.set(node.outputs[0]!, y);
    },
  };
}
