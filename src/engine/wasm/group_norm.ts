// FusedGroupNorm and FusedGroupNormGrad: three passes forward, two backward, sums across rows in float64.
import type {GroupNormAttrs} from '../../ops/kernel_contracts.ts';
import type * as tf from '../../tf.ts';
import {address, floats, output, supplyFused, type WasmBackend} from './heap.ts';
import {freePadded, padded, roundedUp, runRows, sumInChunks, unpadded, vectors} from './rows.ts';

interface Sizes {
  samples: number;
  rows: number;
  channels: number;
  wide: number;
  perGroup: number;
}

function sizesOf(x: tf.TensorInfo, groups: number): Sizes {
  const [samples, channels] = [x.shape[0]!, x.shape[x.shape.length - 1]!];
  const rows = x.shape.slice(1, -1).reduce((product, size) => product * size, 1);
  return {samples, rows, channels, wide: roundedUp(channels), perGroup: channels / groups};
}

export function supplyGroupNorm(): void {
  supplyFused<GroupNormAttrs>('FusedGroupNorm', (backend, [x, gamma, beta, scale, shift], {groups, epsilon, silu}) => {
    const sizes = sizesOf(x!, groups);
    const {samples, rows, channels, wide, perGroup} = sizes;
    const stats = output(backend, [samples, groups, 2]);
    const source = padded(backend, x!, samples * rows, channels);
    const y = output(backend, [samples * rows, wide]);
    const v = vectors(backend, 3, wide);
    const [statistics, mean, a, b] = [floats(backend, stats), v.at(0), v.at(1), v.at(2)];
    const affine = affineOf(backend, gamma!, beta!, scale, shift);
    const sum = new Float64Array(wide);
    const count = rows * perGroup;
    for (let n = 0; n < samples; n++) {
      const offset = 4 * n * rows * wide;
      const from = address(backend, source) + offset;
      sumInChunks(rows, [a], [sum], (first, many) =>
        runRows(backend, 'columnSum', many, wide, [from + 4 * first * wide], [v.pointer(1)]),
      );
      const means = perGroupSums(sum, groups, perGroup).map(total => total / count);
      mean.fill(0);
      for (let c = 0; c < channels; c++) mean[c] = means[Math.floor(c / perGroup)]!;
      sumInChunks(rows, [a], [sum], (first, many) =>
        runRows(backend, 'columnVariance', many, wide, [from + 4 * first * wide], [v.pointer(0), v.pointer(1)]),
      );
      const variances = perGroupSums(sum, groups, perGroup).map(total => total / count);
      for (let g = 0; g < groups; g++) {
        statistics[2 * (n * groups + g)] = means[g]!;
        statistics[2 * (n * groups + g) + 1] = 1 / Math.sqrt(variances[g]! + epsilon);
      }
      fold(sizes, n, statistics.subarray(2 * n * groups), affine, a, b);
      const kernel = silu ? 'affineSilu' : 'affine';
      runRows(backend, kernel, rows, wide, [from, address(backend, y) + offset], [v.pointer(1), v.pointer(2)]);
    }
    v.free();
    freePadded(backend, source, x!);
    return [unpadded(backend, y, x!.shape), stats];
  });

  supplyFused<GroupNormAttrs & {parameters: boolean}>('FusedGroupNormGrad', (backend, inputs, attrs) => {
    const [dy, stats, x, gamma, beta, scale, shift] = inputs as [tf.TensorInfo, tf.TensorInfo, ...tf.TensorInfo[]];
    const {groups, silu, parameters} = attrs;
    const sizes = sizesOf(x!, groups);
    const {samples, rows, channels, wide, perGroup} = sizes;
    const dgamma = output(backend, [channels]);
    const dbeta = output(backend, [channels]);
    const modulation = scale && shift ? [output(backend, scale.shape), output(backend, shift.shape)] : [];
    const [source, upstream] = [x!, dy].map(info => padded(backend, info, samples * rows, channels));
    const dx = output(backend, [samples * rows, wide]);
    const v = vectors(backend, 5, wide);
    const [a, b, mean, sumPart, productPart] = [0, 1, 2, 3, 4].map(v.at) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const affine = affineOf(backend, gamma!, beta!, scale, shift);
    const statistics = floats(backend, stats);
    const [sum, product] = [new Float64Array(wide), new Float64Array(wide)];
    const [totalGamma, totalBeta] = [new Float64Array(channels), new Float64Array(channels)];
    for (let n = 0; n < samples; n++) {
      const offset = 4 * n * rows * wide;
      const [px, pdy, pdx] = [source!, upstream!, dx].map(info => address(backend, info) + offset) as [
        number,
        number,
        number,
      ];
      const ofSample = statistics.subarray(2 * n * groups);
      fold(sizes, n, ofSample, affine, a, b);
      mean.fill(0);
      for (let c = 0; c < channels; c++) mean[c] = ofSample[2 * Math.floor(c / perGroup)]!;
      sumInChunks(rows, [sumPart, productPart], [sum, product], (first, many) => {
        const at = 4 * first * wide;
        if (silu)
          runRows(backend, 'normSumsSilu', many, wide, [pdy + at, px + at, pdx + at], [0, 1, 2, 3, 4].map(v.pointer));
        else runRows(backend, 'normSums', many, wide, [pdy + at, px + at], [2, 3, 4].map(v.pointer));
      });
      // From here a, b, mean hold dx = du * a + x * b + mean.
      for (let g = 0; g < groups; g++) {
        const [m, rstd] = [ofSample[2 * g]!, ofSample[2 * g + 1]!];
        let [along, alongXhat] = [0, 0];
        for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
          const weight = affine.gamma[c]! * affine.onePlus(n, c);
          product[c]! *= rstd;
          along += sum[c]! * weight;
          alongXhat += product[c]! * weight;
        }
        along /= rows * perGroup;
        alongXhat /= rows * perGroup;
        for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
          a[c] = rstd * affine.gamma[c]! * affine.onePlus(n, c);
          b[c] = -rstd * rstd * alongXhat;
          mean[c] = -rstd * along + rstd * rstd * alongXhat * m;
        }
      }
      runRows(backend, 'normGradient', rows, wide, [silu ? pdx : pdy, px, pdx], [0, 1, 2].map(v.pointer));
      const [dscale, dshift] = modulation.map(info => floats(backend, info).subarray(n * channels));
      for (let c = 0; c < channels; c++) {
        totalGamma[c]! += product[c]! * affine.onePlus(n, c);
        totalBeta[c]! += sum[c]! * affine.onePlus(n, c);
        if (dscale && dshift) {
          dscale[c] = product[c]! * affine.gamma[c]! + sum[c]! * affine.beta[c]!;
          dshift[c] = sum[c]!;
        }
      }
    }
    floats(backend, dgamma).set(totalGamma);
    floats(backend, dbeta).set(totalBeta);
    v.free();
    freePadded(backend, source!, x!);
    freePadded(backend, upstream!, dy);
    const first = unpadded(backend, dx, x!.shape);
    if (parameters) return [first, dgamma, dbeta, ...modulation];
    backend.disposeData(dgamma.dataId);
    backend.disposeData(dbeta.dataId);
    return [first, ...modulation];
  });
}

interface Affine {
  gamma: Float32Array;
  beta: Float32Array;
  onePlus(n: number, c: number): number;
  shift(n: number, c: number): number;
}

function affineOf(
  backend: WasmBackend,
  gamma: tf.TensorInfo,
  beta: tf.TensorInfo,
  scale: tf.TensorInfo | undefined,
  shift: tf.TensorInfo | undefined,
): Affine {
  // Copies: allocations that follow may detach views.
  const [g, b, s, t] = [gamma, beta, scale, shift].map(info => (info ? floats(backend, info).slice() : undefined));
  const channels = g!.length;
  return {
    gamma: g!,
    beta: b!,
    onePlus: (n, c) => (s ? 1 + s[n * channels + c]! : 1),
    shift: (n, c) => (t ? t[n * channels + c]! : 0),
  };
}

/** The normalisation and its affine part as one: u = x * a + b. */
function fold(
  {channels, perGroup}: Sizes,
  n: number,
  stats: Float32Array,
  affine: Affine,
  a: Float32Array,
  b: Float32Array,
): void {
  a.fill(0);
  b.fill(0);
  for (let c = 0; c < channels; c++) {
    const g = Math.floor(c / perGroup);
    const onePlus = affine.onePlus(n, c);
    const slope = stats[2 * g + 1]! * affine.gamma[c]! * onePlus;
    a[c] = slope;
    b[c] = affine.beta[c]! * onePlus + affine.shift(n, c) - stats[2 * g]! * slope;
  }
}

function perGroupSums(perChannel: Float64Array, groups: number, perGroup: number): number[] {
  return Array.from({length: groups}, (_, g) => {
    let sum = 0;
    for (let c = g * perGroup; c < (g + 1) * perGroup; c++) sum += perChannel[c]!;
    return sum;
  });
}
