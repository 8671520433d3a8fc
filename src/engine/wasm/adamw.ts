// AdamWStep in one pass over the heap, in place.
import {type AdamWAttrs, adamWScalarNames} from '../../ops/kernel_contracts.ts';
import type * as tf from '../../tf.ts';
import {address, floats, output, supplyFused, type WasmBackend} from './heap.ts';
import {runRows, sumInChunks, vectors} from './rows.ts';

export function supplyAdamW(): void {
  supplyFused<AdamWAttrs>('AdamWStep', (backend, inputs, {count, ema, decay}) => {
    const norm = output(backend, []);
    const scalars = floats(backend, inputs[0]!);
    const named = Object.fromEntries(adamWScalarNames.map((name, i) => [name, scalars[i]!]));
    const numbers = named as Record<(typeof adamWScalarNames)[number], number>;
    const lists = [0, 1, 2, 3, 4].map(i => inputs.slice(1 + i * count, 1 + (i + 1) * count));
    const [variables, gradients, firsts, seconds, averages] = lists as [Infos, Infos, Infos, Infos, Infos];
    const length = Math.fround(Math.sqrt(sumOfSquares(backend, gradients)) * Math.abs(numbers.gradScale));
    floats(backend, norm)[0] = length;
    if (!Number.isFinite(length)) return [norm];
    const {learningRate, beta1, beta2, epsilon, weightDecay, biasCorrection1, biasCorrection2, emaDecay} = numbers;
    const clipped = numbers.gradScale * Math.min(1, numbers.clipNorm / (length + 1e-6));
    // m / c1 / (sqrt(v / c2) + epsilon) = m sqrt(c2) / c1 / (sqrt(v) + epsilon sqrt(c2))
    const root = Math.sqrt(biasCorrection2);
    const size = (learningRate * root) / biasCorrection1;
    for (const [p, variable] of variables.entries()) {
      const kept = decay[p]! ? 1 - learningRate * weightDecay : 1;
      const constants = [
        beta1,
        (1 - beta1) * clipped,
        beta2,
        (1 - beta2) * clipped * clipped,
        kept,
        size,
        epsilon * root,
      ];
      runConstant(backend, 'adamW', [variable, gradients[p]!, firsts[p]!, seconds[p]!], constants);
      renew(backend, variable);
      if (!ema) continue;
      // average = emaDecay * average + (1 - emaDecay) * variable
      runConstant(backend, 'mix', [averages[p]!, variable, averages[p]!], [emaDecay, 1 - emaDecay]);
      renew(backend, averages[p]!);
    }
    return [norm];
  });
}

type Infos = tf.TensorInfo[];

const sizeOf = (info: tf.TensorInfo): number => info.shape.reduce((product, size) => product * size, 1);

/** In float64, but for chunks of 512. */
function sumOfSquares(backend: WasmBackend, infos: Infos): number {
  const v = vectors(backend, 1, 4);
  const part = v.at(0);
  const sums = new Float64Array(4);
  let total = 0;
  for (const info of infos) {
    const rows = Math.floor(sizeOf(info) / 4);
    const from = address(backend, info);
    sumInChunks(rows, [part], [sums], (first, many) =>
      runRows(backend, 'sumOfSquares', many, 4, [from + 16 * first], [v.pointer(0)]),
    );
    for (const sum of sums) total += sum;
    for (const rest of floats(backend, info).subarray(4 * rows)) total += rest * rest;
  }
  v.free();
  return total;
}

/** A row kernel whose vectors hold one number each, over all elements; the last one to three go through a buffer of four. */
function runConstant(backend: WasmBackend, name: 'adamW' | 'mix', infos: Infos, constants: number[]): void {
  const v = vectors(backend, constants.length + infos.length, 4);
  const pointers = constants.map((constant, i) => {
    v.at(i).fill(constant);
    return v.pointer(i);
  });
  const size = sizeOf(infos[0]!);
  const rows = Math.floor(size / 4);
  runRows(
    backend,
    name,
    rows,
    4,
    infos.map(info => address(backend, info)),
    pointers,
  );
  const rest = size - 4 * rows;
  if (rest > 0) {
    const tails = infos.map((info, i) => ({
      all: floats(backend, info).subarray(4 * rows),
      four: v.at(constants.length + i),
    }));
    for (const {all, four} of tails) {
      four.fill(0);
      four.set(all);
    }
    runRows(
      backend,
      name,
      1,
      4,
      infos.map((_, i) => v.pointer(constants.length + i)),
      pointers,
    );
    for (const {all, four} of name === 'mix' ? tails.slice(2) : tails) all.set(four.subarray(0, rest));
  }
  v.free();
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
