// AdamWStep in one pass over the heap, in place.
import {type AdamWAttrs, adamWScalarNames} from '../../ops/kernel_contracts.ts';
import type * as tf from '../../tf.ts';
import {floats, output, supplyFused, type WasmBackend} from './heap.ts';

export function supplyAdamW(): void {
  supplyFused<AdamWAttrs>('AdamWStep', (backend, inputs, {count, ema, decay}) => {
    const norm = output(backend, []);
    const views = inputs.map(info => floats(backend, info));
    const [scalars, ...tensors] = views as [Float32Array, ...Float32Array[]];
    const named = Object.fromEntries(adamWScalarNames.map((name, i) => [name, scalars[i]!]));
    const numbers = named as Record<(typeof adamWScalarNames)[number], number>;
    let squares = 0;
    for (const gradient of tensors.slice(count, 2 * count)) {
      let sum = 0;
      for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * gradient[i]!;
      squares += sum;
    }
    const length = Math.fround(Math.sqrt(squares) * Math.abs(numbers.gradScale));
    floats(backend, norm)[0] = length;
    if (!Number.isFinite(length)) return [norm];
    const clipped = numbers.gradScale * Math.min(1, numbers.clipNorm / (length + 1e-6));
    for (let p = 0; p < count; p++) {
      const [w, g, m, v, average] = [0, 1, 2, 3, 4].map(i => tensors[i * count + p]) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array | undefined,
      ];
      step(w, g, m, v, clipped, decay[p]! ? 1 - numbers.learningRate * numbers.weightDecay : 1, numbers);
      if (ema && average) {
        const kept = numbers.emaDecay;
        for (let i = 0; i < w.length; i++) average[i] = kept * average[i]! + (1 - kept) * w[i]!;
      }
    }
    for (const info of inputs.slice(1, 1 + count)) renew(backend, info);
    for (const info of ema ? inputs.slice(1 + 4 * count) : []) renew(backend, info);
    return [norm];
  });
}

function step(
  w: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  clipped: number,
  kept: number,
  numbers: Record<(typeof adamWScalarNames)[number], number>,
): void {
  const {learningRate, beta1, beta2, epsilon, biasCorrection1, biasCorrection2} = numbers;
  const size = learningRate / biasCorrection1;
  for (let i = 0; i < w.length; i++) {
    const gradient = g[i]! * clipped;
    const first = beta1 * m[i]! + (1 - beta1) * gradient;
    const second = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
    m[i] = first;
    v[i] = second;
    w[i] = kept * w[i]! - (size * first) / (Math.sqrt(second / biasCorrection2) + epsilon);
  }
}

/**
 * XNNPACK keeps a packed copy of every filter it has met, under the tensor's number in the C++ table. Memory written in place
 * gets a new number there, else convolutions go on with the old weights.
 */
function renew(backend: WasmBackend, info: tf.TensorInfo): void {
  const data = backend.dataIdMap.get(info.dataId);
  backend.wasm.tfjs.disposeData(data.id);
  data.id = backend.dataIdNextNumber++;
  backend.wasm.tfjs.registerTensor(
    data.id,
    info.shape.reduce((a, b) => a * b, 1),
    data.memoryOffset,
  );
}
