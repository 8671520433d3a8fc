// The contract between the operations of this folder and the backends that speed them up: for every fused kernel its
// name, its inputs by position, its attributes and its outputs. A backend registers a kernel under such a name with
// tf.registerKernel; an operation uses it where it is registered and composes plain TensorFlow.js operations elsewhere.
//
// Rules that hold for all of them:
// - `inputs` is an array (as for TensorFlow.js's Concat): optional inputs come last and are absent, never null.
// - every tensor is float32 and dense in row-major order unless a comment says otherwise; N is the leading axis.
// - a kernel returns an array of outputs, also when there is one.
// - `saved` outputs are handed back unchanged to the same backend's gradient kernel. Where a comment calls one opaque, its
//   shape and meaning are the backend's own (shape [0] where the gradient recomputes what it needs).
// - a backend registers a forward kernel only together with its `...Grad` kernel.
import type * as tf from '../tf.ts';

type T = tf.TensorInfo;

/** Pointwise activations: silu x*sigmoid(x); gelu x*Phi(x) by erf; quickGelu x*sigmoid(1.702 x). */
export type ActivationKind = 'silu' | 'gelu' | 'quickGelu';

export interface GroupNormAttrs {
  /** Divides C. */
  groups: number;
  epsilon: number;
  /** Apply silu to the result. */
  silu: boolean;
}

export interface AttentionAttrs {
  /** Divides the last axis; d = C / heads; scores are scaled by 1 / sqrt(d). */
  heads: number;
  /** Query i sees keys 0..i only (L = M). */
  causal: boolean;
}

export interface TemporalAttentionAttrs {
  heads: number;
  /** Frames i and j see each other where |i - j| <= window; absent: all do. */
  window?: number;
}

export interface AdamWAttrs {
  /** Number of parameters, P. */
  count: number;
  /** Whether the P averages are given. */
  ema: boolean;
  /** Per parameter: whether weight decay applies to it. */
  decay: boolean[];
}

export interface KernelContracts {
  /**
   * Group normalisation, optionally modulated and followed by silu.
   * x [N, ..., C] of rank 3 to 5, statistics over every axis between and the C/groups channels of a group (biased variance);
   * gamma, beta [C]; scale, shift [N, C] (both or neither): y = silu?((xhat * gamma + beta) * (1 + scale) + shift).
   * Outputs y like x; stats [N, groups, 2] = mean, 1 / sqrt(variance + epsilon).
   */
  FusedGroupNorm: {
    inputs: [x: T, gamma: T, beta: T, scale?: T, shift?: T];
    attrs: GroupNormAttrs;
    outputs: [y: T, stats: T];
  };
  /** FusedGroupNorm's y once more from its stats: the same bytes, with one pass over x less. Optional: it has no gradient. */
  FusedGroupNormApply: {
    inputs: [stats: T, x: T, gamma: T, beta: T, scale?: T, shift?: T];
    attrs: GroupNormAttrs;
    outputs: [y: T];
  };
  /**
   * dgamma, dbeta [C] and, where scale and shift were given, dscale, dshift [N, C].
   * With `parameters` false (frozen gamma and beta) dgamma and dbeta are left out: [dx] or [dx, dscale, dshift].
   */
  FusedGroupNormGrad: {
    inputs: [dy: T, stats: T, x: T, gamma: T, beta: T, scale?: T, shift?: T];
    attrs: GroupNormAttrs & {parameters: boolean};
    outputs: T[];
  };
  /** The same with dx added to `onto`, of x's shape. */
  FusedGroupNormGradOnto: {
    inputs: [onto: T, dy: T, stats: T, x: T, gamma: T, beta: T, scale?: T, shift?: T];
    attrs: GroupNormAttrs & {parameters: boolean};
    outputs: T[];
  };
  /** x [..., C], gamma, beta [C]; stats [rows, 2] = mean, 1 / sqrt(variance + epsilon), rows = size / C. */
  FusedLayerNorm: {
    inputs: [x: T, gamma: T, beta: T];
    attrs: {epsilon: number};
    outputs: [y: T, stats: T];
  };
  /** [dx, dgamma, dbeta]; [dx] with `parameters` false. */
  FusedLayerNormGrad: {
    inputs: [dy: T, stats: T, x: T, gamma: T];
    attrs: {epsilon: number; parameters: boolean};
    outputs: T[];
  };
  /** The same with dx added to `onto`, of x's shape. */
  FusedLayerNormGradOnto: {
    inputs: [onto: T, dy: T, stats: T, x: T, gamma: T];
    attrs: {epsilon: number; parameters: boolean};
    outputs: T[];
  };
  /**
   * q [N, L, heads*d], k, v [N, M, heads*d] -> y [N, L, heads*d]; heads lie side by side in the last axis.
   * mask is added to the scores before softmax; each of its 4 axes is 1 or that of [N, heads, L, M]; it has no gradient.
   * `saved` is opaque (for example log-sum-exp [N, heads, L]).
   */
  ScaledDotProductAttention: {
    inputs: [q: T, k: T, v: T, mask?: T];
    attrs: AttentionAttrs;
    outputs: [y: T, saved: T];
  };
  ScaledDotProductAttentionGrad: {
    inputs: [dy: T, y: T, saved: T, q: T, k: T, v: T, mask?: T];
    attrs: AttentionAttrs;
    outputs: [dq: T, dk: T, dv: T];
  };
  /** q, k, v, y [B, T, P, heads*d]: attention over T for each of the P pixels. `saved` is opaque. */
  TemporalAttention: {
    inputs: [q: T, k: T, v: T];
    attrs: TemporalAttentionAttrs;
    outputs: [y: T, saved: T];
  };
  TemporalAttentionGrad: {
    inputs: [dy: T, y: T, saved: T, q: T, k: T, v: T];
    attrs: TemporalAttentionAttrs;
    outputs: [dq: T, dk: T, dv: T];
  };
  /** x [..., 2C] -> [..., C]: first half times gelu (erf) of the second half. */
  Geglu: {inputs: [x: T]; attrs: Record<string, never>; outputs: [y: T]};
  GegluGrad: {inputs: [dy: T, x: T]; attrs: Record<string, never>; outputs: [dx: T]};
  /** Any shape. */
  FusedActivation: {inputs: [x: T]; attrs: {kind: ActivationKind}; outputs: [y: T]};
  FusedActivationGrad: {inputs: [dy: T, x: T]; attrs: {kind: ActivationKind}; outputs: [dx: T]};
  /** x [N, H, W, C] -> y [N, 2H, 2W, C], y[n, i, j] = x[n, i >> 1, j >> 1]. */
  UpsampleNearest2x: {inputs: [x: T]; attrs: Record<string, never>; outputs: [y: T]};
  /** dy [N, 2H, 2W, C] -> dx [N, H, W, C], sums of 2x2 blocks. */
  UpsampleNearest2xGrad: {inputs: [dy: T]; attrs: Record<string, never>; outputs: [dx: T]};
  /**
   * spatial, temporal [B, T, ...]; mixFactor [] or [T]; a = sigmoid(mixFactor), or 1 - sigmoid with `switched`.
   * y = spatial * a + temporal * (1 - a), exactly spatial where a is 1.
   */
  AlphaMix: {inputs: [spatial: T, temporal: T, mixFactor: T]; attrs: {switched: boolean}; outputs: [y: T]};
  /** [dspatial, dtemporal, dmixFactor]; without the last where `mixFactor` is false. */
  AlphaMixGrad: {
    inputs: [dy: T, spatial: T, temporal: T, mixFactor: T];
    attrs: {switched: boolean; mixFactor: boolean};
    outputs: T[];
  };
  /** x [N, ..., C] + embedding [N, C] (+ bias [C]). */
  BiasTimestepAdd: {inputs: [x: T, embedding: T, bias?: T]; attrs: Record<string, never>; outputs: [y: T]};
  /** dy [N, ..., C] -> dembedding [N, C], sums over the axes between (dbias is its sum over N). */
  BiasTimestepAddGrad: {inputs: [dy: T]; attrs: Record<string, never>; outputs: [dembedding: T]};
  /** x [..., in], kernel [in, out], bias [out] -> y [..., out] = x kernel + bias. */
  FusedLinear: {inputs: [x: T, kernel: T, bias?: T]; attrs: Record<string, never>; outputs: [y: T]};
  /** dy [..., out] kernel^T -> dx [..., in]. */
  FusedLinearInputGrad: {inputs: [dy: T, kernel: T]; attrs: Record<string, never>; outputs: [dx: T]};
  /** The same added to `onto`, of dx's shape, which the caller gives up: the sum may be in its place. */
  FusedLinearInputGradOnto: {inputs: [onto: T, dy: T, kernel: T]; attrs: Record<string, never>; outputs: [dx: T]};
  /** x^T dy over all rows -> dkernel [in, out]. */
  FusedLinearKernelGrad: {inputs: [x: T, dy: T]; attrs: Record<string, never>; outputs: [dkernel: T]};
  /** x, a matrix or a filter, as products or convolutions read it: rounded to bf16 under that policy, and in their layout. */
  FrozenStorage: {inputs: [x: T]; attrs: Record<string, never>; outputs: [y: T]};
  /** x [..., C] -> [C]: the gradient of a bias. */
  ColumnSum: {inputs: [x: T]; attrs: Record<string, never>; outputs: [sums: T]};
  /**
   * One AdamW step for all parameters, in place. Inputs: `scalars` [10] in the order of `adamWScalarNames`, then P variables,
   * P gradients, P first moments, P second moments and, with `ema`, P averages; the storage of all but the gradients and
   * scalars is overwritten. With g = gradient * gradScale, norm = sqrt(sum over all parameters of |g|^2),
   * c = min(1, clipNorm / (norm + 1e-6)):
   *   m = beta1 m + (1 - beta1) c g;  v = beta2 v + (1 - beta2) (c g)^2
   *   w = w (1 - learningRate * weightDecay if decay) - learningRate / biasCorrection1 * m / (sqrt(v / biasCorrection2) + epsilon)
   *   ema = emaDecay ema + (1 - emaDecay) w
   * Where norm is not finite nothing is written. Output: norm, shape [].
   */
  AdamWStep: {inputs: T[]; attrs: AdamWAttrs; outputs: [norm: T]};
  /** Writes `value` over the target's, of as many elements, in the storage the target has. No output. */
  Overwrite: {inputs: [target: T, value: T]; attrs: Record<string, never>; outputs: []};
  /**
   * Standard normals of Philox4x32-10 with Box-Muller in float64, rounded once: the bytes of `normals` in src/random.
   * step: int32, one element, read as uint32; the rest of the position as attributes. Output of shape `shape`.
   */
  PhiloxNormal: {
    inputs: [step: T];
    attrs: {shape: number[]; seed: number; stream: number; offset: number};
    outputs: [values: T];
  };
  /**
   * packed: int32 [ceil(n / 4)], the n bytes of `shape` four to a word, first byte lowest (little endian).
   * Output float32 of `shape`: byte / 127.5 - 1.
   */
  FramesToPixels: {inputs: [packed: T]; attrs: {shape: number[]}; outputs: [pixels: T]};
}

export type FusedKernelName = keyof KernelContracts;

/** Every fused kernel's name, for lists of what a backend has. */
export const fusedKernels = {
  FusedGroupNorm: true,
  FusedGroupNormApply: true,
  FusedGroupNormGrad: true,
  FusedGroupNormGradOnto: true,
  FusedLayerNorm: true,
  FusedLayerNormGrad: true,
  FusedLayerNormGradOnto: true,
  ScaledDotProductAttention: true,
  ScaledDotProductAttentionGrad: true,
  TemporalAttention: true,
  TemporalAttentionGrad: true,
  Geglu: true,
  GegluGrad: true,
  FusedActivation: true,
  FusedActivationGrad: true,
  UpsampleNearest2x: true,
  UpsampleNearest2xGrad: true,
  AlphaMix: true,
  AlphaMixGrad: true,
  BiasTimestepAdd: true,
  BiasTimestepAddGrad: true,
  FusedLinear: true,
  FusedLinearInputGrad: true,
  FusedLinearInputGradOnto: true,
  FusedLinearKernelGrad: true,
  FrozenStorage: true,
  ColumnSum: true,
  AdamWStep: true,
  Overwrite: true,
  PhiloxNormal: true,
  FramesToPixels: true,
} as const satisfies Record<FusedKernelName, true>;

/** Order of the `scalars` input of AdamWStep. */
export const adamWScalarNames = [
  'learningRate',
  'beta1',
  'beta2',
  'epsilon',
  'weightDecay',
  'biasCorrection1',
  'biasCorrection2',
  'emaDecay',
  'clipNorm',
  'gradScale',
] as const;
