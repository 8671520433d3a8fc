// Sums and means of gathered rows by segment, as a product with a constant matrix.
import {UserError} from '../../platform/user_error.ts';
import {constantOf} from '../constants.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {asFloat, fixed, input, timesDims, value} from './shapes.ts';

export function sparseSegments(kernel: string, mean: boolean): KernelSpec {
  return {
    kernel,
    infer(inputs) {
      const data = input(inputs, 'data');
      const ids = input(inputs, 'segmentIds').constant?.();
      if (!ids)
        throw new UserError(
          `Kernel ${kernel} can be exported to ONNX only with constant segment ids: they decide its shape.`,
        );
      const last = Array.from(ids.load() as Int32Array).at(-1) ?? -1;
      return {shape: [last + 1, ...data.shape.slice(1)], dtype: data.dtype};
    },
    emit(e, node) {
      const data = value(node, 'data');
      const output = node.outputs[0]!;
      const ids = Array.from((value(node, 'segmentIds').constant?.load() ?? []) as Int32Array);
      const rows = fixed(e, node, output.shape[0], 'number of segments');
      const matrix = new Array<number>(rows * ids.length).fill(0);
      for (const [i, id] of ids.entries()) {
        matrix[id * ids.length + i] = mean ? 1 / ids.filter(other => other === id).length : 1;
      }
      const picked = e.op('Gather', [e.name(data), e.name(value(node, 'indices'))], {axis: 0});
      const flat = e.reshape(asFloat(e, picked, data.dtype), [ids.length, timesDims(data.shape.slice(1))]);
      const sums = e.op('MatMul', [e.constant(constantOf('float32', [rows, ids.length], matrix)), flat]);
      const result = e.reshape(sums, output.shape);
      e.set(output, output.dtype === 'int32' ? e.cast(result, 'int32') : result);
    },
  };
}
