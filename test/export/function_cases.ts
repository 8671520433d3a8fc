// Functions whose kernels cannot be called alone: complex values exist only between kernels.
import * as ops from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {type Given, normal} from './support.ts';

export interface FunctionCase {
  readonly kernels: readonly string[];
  readonly note?: string;
  readonly inputs: Given;
  readonly within?: number;
  fn(inputs: Record<string, tf.Tensor>): tf.Tensor | Record<string, tf.Tensor>;
}

const pair = {re: normal(3, 7), im: normal(3, 7)};

export const complexCases: readonly FunctionCase[] = [
  {
    kernels: ['Complex', 'Real', 'Imag'],
    inputs: pair,
    fn: ({re, im}) => {
      const z = tf.complex(re!, im!);
      return {x: tf.real(z), y: tf.imag(z)};
    },
  },
  {kernels: ['ComplexAbs'], inputs: pair, fn: ({re, im}) => tf.abs(tf.complex(re!, im!))},
  ...(['fft', 'ifft'] as const).map(name => ({
    kernels: [name.toUpperCase()],
    inputs: pair,
    within: 1e-5,
    fn: ({re, im}: Record<string, tf.Tensor>) => {
      const z = tf.spectral[name](tf.complex(re!, im!));
      return {x: tf.real(z), y: tf.imag(z)};
    },
  })),
];

const activations = {silu: ops.silu, gelu: ops.gelu, quickGelu: ops.quickGelu};
const norm = {x: normal(2, 5, 3, 8), gamma: normal(8), beta: normal(8)};
const clip = {x: normal(2, 3, 4, 5, 8), gamma: normal(8), beta: normal(8)};
const tokens = {q: normal(2, 7, 12), k: normal(2, 5, 12), v: normal(2, 5, 12)};
const frames = {q: normal(2, 5, 6, 8), k: normal(2, 5, 6, 8), v: normal(2, 5, 6, 8)};

export const fusedCases: readonly FunctionCase[] = [
  {
    kernels: ['FusedGroupNorm'],
    inputs: norm,
    fn: ({x, gamma, beta}) => ops.groupNorm(x!, gamma!, beta!, {groups: 4, epsilon: 1e-5, silu: true}),
  },
  {
    kernels: ['FusedGroupNorm'],
    note: 'video, modulated',
    inputs: {...clip, scale: normal(2, 8), shift: normal(2, 8)},
    fn: ({x, gamma, beta, scale, shift}) =>
      ops.groupNorm(x!, gamma!, beta!, {groups: 2, epsilon: 1e-6, scaleShift: {scale: scale!, shift: shift!}}),
  },
  {
    kernels: ['FusedLayerNorm'],
    inputs: clip,
    fn: ({x, gamma, beta}) => ops.layerNorm(x!, gamma!, beta!, {epsilon: 1e-5}),
  },
  {kernels: ['ScaledDotProductAttention'], inputs: tokens, fn: ({q, k, v}) => ops.attention(q!, k!, v!, {heads: 3})},
  {
    kernels: ['ScaledDotProductAttention'],
    note: 'causal',
    inputs: {q: normal(2, 7, 12), k: normal(2, 7, 12), v: normal(2, 7, 12)},
    fn: ({q, k, v}) => ops.attention(q!, k!, v!, {heads: 2, causal: true}),
  },
  {
    kernels: ['ScaledDotProductAttention'],
    note: 'masked',
    inputs: {...tokens, mask: normal(2, 1, 7, 5)},
    fn: ({q, k, v, mask}) => ops.attention(q!, k!, v!, {heads: 3, mask: mask!}),
  },
  {kernels: ['TemporalAttention'], inputs: frames, fn: ({q, k, v}) => ops.temporalAttention(q!, k!, v!, {heads: 2})},
  {
    kernels: ['TemporalAttention'],
    note: 'window',
    inputs: frames,
    fn: ({q, k, v}) => ops.temporalAttention(q!, k!, v!, {heads: 2, window: 1}),
  },
  {kernels: ['Geglu'], inputs: {x: normal(2, 3, 10)}, fn: ({x}) => ops.geglu(x!)},
  ...(['silu', 'gelu', 'quickGelu'] as const).map(name => ({
    kernels: ['FusedActivation'],
    note: name,
    inputs: {x: normal(3, 7)},
    fn: ({x}: Record<string, tf.Tensor>) => activations[name](x!),
  })),
  {
    kernels: ['UpsampleNearest2x'],
    inputs: {x: normal(2, 3, 5, 4)},
    fn: ({x}) => ops.upsampleNearest2x(x as tf.Tensor4D),
  },
  ...[[], [3]].map(shape => ({
    kernels: ['AlphaMix'],
    note: `factor [${shape}]`,
    inputs: {s: normal(2, 3, 4, 5, 2), t: normal(2, 3, 4, 5, 2), factor: normal(...shape)},
    fn: ({s, t, factor}: Record<string, tf.Tensor>) => ({
      learned: ops.alphaMix(s!, t!, factor!),
      weight: ops.alphaMix(s!, t!, tf.fill(shape, 0.7), {switched: true}),
    }),
  })),
  {
    kernels: ['BiasTimestepAdd'],
    inputs: {x: normal(2, 3, 5, 4), embedding: normal(2, 4)},
    fn: ({x, embedding}) => ops.addPerSample(x!, embedding!),
  },
];
