// What the torch engine's kernels hold beside their inputs and outputs, in bytes, and the shapes of the fused gradients, which
// no exporter needs. Float32 on a CPU; written down from native/ops of tfjs-backend-torch.
import type * as tf from '../tf.ts';

export interface Sized {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
}
export type Inferred = Sized;

type Inputs = Readonly<Record<string, Sized>>;
type Attrs = Readonly<Record<string, unknown>>;

const ALIGNMENT = 64;
/** Attention keeps its probabilities for the gradient up to so many elements, else their log-sum-exp. */
const KEPT_PROBABILITIES = 64 * 2 ** 20;

export function alignedBytes(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

const like = (x: Sized | undefined): Inferred => float(x?.shape ?? []);
const float = (shape: readonly number[]): Inferred => ({shape, dtype: 'float32'});
const bytes = (x: Sized | undefined): number => (x ? 4 * x.shape.reduce((product, size) => product * size, 1) : 0);
const channels = (x: Sized): number => x.shape.at(-1) ?? 1;

/** `x`: the position of the norm's input. */
const groupNormGrads = (inputs: Inputs, {parameters}: Attrs, x: number): Inferred[] => [
  like(inputs[x]),
  ...(parameters ? [like(inputs[x + 1]), like(inputs[x + 2])] : []),
  ...(inputs[x + 3] ? [like(inputs[x + 3]), like(inputs[x + 3])] : []),
];
const layerNormGrads = (inputs: Inputs, {parameters}: Attrs, x: number): Inferred[] => [
  like(inputs[x]),
  ...(parameters ? [like(inputs[x + 1]), like(inputs[x + 1])] : []),
];

/** Output shapes by the contracts in src/ops/kernel_contracts.ts; inputs by position. */
export const fusedGradients = {
  FusedGroupNormApply: inputs => [like(inputs[1])],
  FusedGroupNormGrad: (inputs, attrs) => groupNormGrads(inputs, attrs, 2),
  FusedGroupNormGradOnto: (inputs, attrs) => groupNormGrads(inputs, attrs, 3),
  FusedLayerNormGrad: (inputs, attrs) => layerNormGrads(inputs, attrs, 2),
  FusedLayerNormGradOnto: (inputs, attrs) => layerNormGrads(inputs, attrs, 3),
  ScaledDotProductAttentionGrad: inputs => [like(inputs[3]), like(inputs[4]), like(inputs[5])],
  TemporalAttentionGrad: inputs => [like(inputs[3]), like(inputs[4]), like(inputs[5])],
  GegluGrad: inputs => [like(inputs[1])],
  FusedActivationGrad: inputs => [like(inputs[1])],
  UpsampleNearest2xGrad: inputs => {
    const [n = 1, h = 1, w = 1, c = 1] = inputs[0]!.shape;
    return [float([n, h / 2, w / 2, c])];
  },
  AlphaMixGrad: (inputs, attrs) => [like(inputs[1]), like(inputs[2]), ...(attrs.mixFactor ? [like(inputs[3])] : [])],
  BiasTimestepAddGrad: inputs => [float([inputs[0]!.shape[0] ?? 1, channels(inputs[0]!)])],
  FusedLinear: inputs => [float([...inputs[0]!.shape.slice(0, -1), channels(inputs[1]!)])],
  FusedLinearInputGrad: inputs => [float([...inputs[0]!.shape.slice(0, -1), inputs[1]!.shape[0] ?? 1])],
  FusedLinearInputGradOnto: inputs => [like(inputs[0])],
  FusedLinearKernelGrad: inputs => [float([channels(inputs[0]!), channels(inputs[1]!)])],
  FrozenStorage: inputs => [like(inputs[0])],
  ColumnSum: inputs => [float([channels(inputs[0]!)])],
  AdamWStep: () => [float([])],
  Overwrite: () => [],
  PhiloxNormal: (_, attrs) => [float(attrs.shape as number[])],
  FramesToPixels: (_, attrs) => [float(attrs.shape as number[])],
} as const satisfies Record<string, (inputs: Inputs, attrs: Attrs) => Inferred[]>;

/** The shape of the second output of attention, which is the engine's own. */
export function savedByAttention(kernel: string, inputs: Inputs, attrs: Attrs): number[] | undefined {
  const heads = Number(attrs.heads);
  if (kernel === 'ScaledDotProductAttention') {
    const [n = 1, l = 1] = inputs[0]!.shape;
    const m = inputs[1]!.shape[1] ?? 1;
    return n * heads * l * m <= KEPT_PROBABILITIES ? [n * heads, l, m] : [n * heads, l];
  }
  if (kernel !== 'TemporalAttention') return undefined;
  const [b = 1, t = 1, p = 1] = inputs[0]!.shape;
  return [b, p, heads, t, t];
}

/** Bytes a kernel holds while it runs, beside its inputs and outputs. */
export function workspace(kernel: string, inputs: Inputs, attrs: Attrs, outputs: readonly Inferred[]): number {
  switch (kernel) {
    case 'Conv2D':
    case 'FusedConv2D':
    case 'Conv3D':
      // The filter in torch's order; the input with its padding where that is not the same on both sides.
      return bytes(inputs.filter) + (isUneven(attrs.pad) ? bytes(inputs.x) : 0);
    case 'Conv2DBackpropInput':
    case 'Conv3DBackpropInputV2':
      // The filter in torch's order, and an input that only tells its shape.
      return bytes(inputs.filter) + bytes(outputs[0]);
    case 'Conv2DBackpropFilter':
    case 'Conv3DBackpropFilterV2':
      return 2 * bytes(outputs[0]);
    case 'ScaledDotProductAttention': {
      const s = scoreBytes(inputs[0]!, inputs[1]!, attrs);
      // Heads first: q and k beside the scores, then v and the product.
      return s + Math.max(bytes(inputs[0]) + bytes(inputs[1]), bytes(inputs[0]) + bytes(inputs[2]));
    }
    case 'ScaledDotProductAttentionGrad': {
      const s = scoreBytes(inputs[3]!, inputs[4]!, attrs);
      const kept = inputs[2]!.shape.length === 3;
      return (kept ? 1 : 3) * s + 2 * bytes(inputs[0]) + bytes(inputs[3]) + bytes(inputs[4]) + bytes(inputs[5]);
    }
    default:
      return 0;
  }
}

function scoreBytes(q: Sized, k: Sized, attrs: Attrs): number {
  const [n = 1, l = 1] = q.shape;
  return 4 * n * Number(attrs.heads) * l * (k.shape[1] ?? 1);
}

/** Explicit padding [[0,0],[top,bottom],[left,right],[0,0]] of different sides. */
function isUneven(pad: unknown): boolean {
  return Array.isArray(pad) && pad.some(side => Array.isArray(side) && side[0] !== side[1]);
}
