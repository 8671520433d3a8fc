// Standard normals on the device, the same bytes as src/random's `normals`. Kernel PhiloxNormal.
import {normals, type StreamName, streams} from '../random/index.ts';
import * as tf from '../tf.ts';
import {hasKernel, runFused} from './fused.ts';

export interface DeviceRandomAt {
  seed: number;
  stream: StreamName | number;
  /** A number, or an int32 tensor of one element where a captured step must advance between replays. */
  step: number | tf.Tensor;
  offset?: number;
}

export function philoxNormal(shape: readonly number[], {seed, stream, step, offset = 0}: DeviceRandomAt): tf.Tensor {
  if (hasKernel('PhiloxNormal')) {
    const device = typeof step === 'number' ? tf.scalar(step | 0, 'int32') : step;
    const number = typeof stream === 'number' ? stream : streams[stream];
    const values = runFused('PhiloxNormal', [device], {shape: [...shape], seed, stream: number, offset})[0]!;
    if (device !== step) device.dispose();
    return values;
  }
  const at = {seed, stream, offset, step: typeof step === 'number' ? step : step.dataSync()[0]! >>> 0};
  return tf.tensor(normals(at, tf.util.sizeFromShape([...shape])), [...shape], 'float32');
}
