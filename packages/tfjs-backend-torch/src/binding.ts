// The addon's interface, typed: the only file that loads it. native/ops has one C++ function per entry.
import {createRequire} from 'node:module';
import {availableParallelism} from 'node:os';
import {type Build, findBuilds, STALE} from './built.ts';

/** Names one libtorch tensor. */
export type Handle = number;
export type Ints = readonly number[];
type Dtype = 0 | 1 | 2 | 3 | 4;
type Maybe = Handle | undefined;
type HostArray = Float32Array | Int32Array | Uint8Array;

// biome-ignore format: a list
export type UnaryOperation =
  | 'abs' | 'acos' | 'acosh' | 'asin' | 'asinh' | 'atan' | 'atanh' | 'ceil' | 'clone' | 'complexAbs' | 'cos' | 'cosh'
  | 'diag' | 'elu' | 'erf' | 'exp' | 'expm1' | 'fft' | 'floor' | 'ifft' | 'imag' | 'isFinite' | 'isInf' | 'isNan'
  | 'log' | 'log1p' | 'logicalNot' | 'neg' | 'real' | 'reciprocal' | 'relu' | 'relu6' | 'round' | 'rsqrt' | 'selu'
  | 'sigmoid' | 'sign' | 'silu' | 'sin' | 'sinh' | 'softplus' | 'sqrt' | 'square' | 'tan' | 'tanh';

// biome-ignore format: a list
export type BinaryOperation =
  | 'add' | 'atan2' | 'bitwiseAnd' | 'broadcastArgs' | 'complex' | 'div' | 'eluGrad' | 'equal' | 'floorDiv' | 'gatherNd'
  | 'greater' | 'greaterEqual' | 'less' | 'lessEqual' | 'logicalAnd' | 'logicalOr' | 'maximum' | 'minimum' | 'mod'
  | 'mul' | 'notEqual' | 'pow' | 'prelu' | 'squaredDifference' | 'sub';

export type ReduceOperation = 'all' | 'any' | 'max' | 'mean' | 'min' | 'prod' | 'sum';

type Unary = Record<UnaryOperation, (x: Handle) => Handle>;
type Binary = Record<BinaryOperation, (a: Handle, b: Handle) => Handle>;
type Reduce = Record<ReduceOperation, (x: Handle, axes: Ints) => Handle>;

/** Convolution windows: one number per spatial axis. `before` is the padding in front, `out` the result's size. */
type Windows = [stride: Ints, dilation: Ints, before: Ints, out: Ints];
type Epilogue = [activation: number, prelu: Maybe, leakyAlpha: number];

export interface Native extends Unary, Binary, Reduce {
  // storage.cc
  upload(values: HostArray, shape: Ints, dtype: Dtype): Handle;
  read(x: Handle, into: HostArray): void;
  readAsync<A extends HostArray>(x: Handle, into: A): Promise<A>;
  /** Waits until the reads under way have copied their values: called before anything is written in place. */
  finishReads(): void;
  view(x: Handle, shape: Ints): Handle;
  release(x: Handle): void;
  assign(target: Handle, source: Handle): void;
  shapeOf(x: Handle): number[];
  memory(): [allocated: number, reserved: number, peak: number];
  resetPeak(): void;
  emptyCache(most: number): void;
  live(): number;
  /** Copies of weights in another type or layout that were made so far, in this thread. */
  weightCopies(): number;
  threads(intraOp: number, blas: number): void;
  threadCounts(): [intraOp: number, blas: number];
  policy(precision: number): void;
  /**
   * For tests: computes with the GPU's kernels on the CPU, thread by thread, in an order drawn from the seed (0 where none is given).
   * Throws, at the launch, where threads race for shared memory, leave it, miss a barrier or read unaligned.
   */
  emulateKernels(on: boolean, seed?: number): void;
  device(): string;
  cudaBuilt(): boolean;
  configuration(): string;
  // graph.cc: CUDA only
  /** From here on operations are recorded instead of done, into memory of the graphs' own. */
  graphBegin(): void;
  /** Ends the recording; returns the graph's number. */
  graphEnd(): number;
  graphAbort(): void;
  graphReplay(graph: number): void;
  graphRelease(graph: number): void;
  // unary.cc, binary.cc
  step(x: Handle, alpha: number): Handle;
  leakyRelu(x: Handle, alpha: number): Handle;
  clip(x: Handle, low: number, high: number): Handle;
  cast(x: Handle, dtype: Dtype): Handle;
  addN(xs: readonly Handle[]): Handle;
  select(condition: Handle, yes: Handle, no: Handle): Handle;
  // reduce.cc
  argMax(x: Handle, axis: number): Handle;
  argMin(x: Handle, axis: number): Handle;
  cumsum(x: Handle, axis: number, exclusive: boolean, reverse: boolean): Handle;
  cumprod(x: Handle, axis: number, exclusive: boolean, reverse: boolean): Handle;
  topK(x: Handle, k: number): [values: Handle, indices: Handle];
  softmax(x: Handle, axis: number): Handle;
  logSoftmax(x: Handle, axis: number): Handle;
  // shape.cc; pads and crops are pairs, before and after
  fill(shape: Ints, value: number, dtype: Dtype): Handle;
  progression(start: number, step: number, count: number, dtype: Dtype): Handle;
  slice(x: Handle, begin: Ints, size: Ints): Handle;
  stridedSlice(x: Handle, begin: Ints, strides: Ints, sizes: Ints): Handle;
  stridedSliceGrad(dy: Handle, shape: Ints, begin: Ints, strides: Ints, sizes: Ints): Handle;
  concat(xs: readonly Handle[], axis: number): Handle;
  split(x: Handle, sizes: Ints, axis: number): Handle[];
  stack(xs: readonly Handle[], axis: number): Handle;
  unstack(x: Handle, axis: number): Handle[];
  pad(x: Handle, pads: Ints, value: number): Handle;
  mirrorPad(x: Handle, pads: Ints, symmetric: boolean): Handle;
  transpose(x: Handle, order: Ints): Handle;
  reverse(x: Handle, axes: Ints): Handle;
  tile(x: Handle, repeats: Ints): Handle;
  broadcastTo(x: Handle, shape: Ints): Handle;
  depthToSpace(x: Handle, block: number, channelsLast: boolean): Handle;
  spaceToDepth(x: Handle, block: number, channelsLast: boolean): Handle;
  batchToSpace(x: Handle, blocks: Ints, crops: Ints): Handle;
  spaceToBatch(x: Handle, blocks: Ints, pads: Ints): Handle;
  // index.cc
  /** known: that the indices are in range, which a GPU need not be asked then. */
  gather(x: Handle, indices: Handle, axis: number, batchDims: number, known: boolean): Handle;
  scatterNd(base: Handle, indices: Handle, updates: Handle, accumulate: boolean): Handle;
  oneHot(indices: Handle, depth: number, on: number, off: number, dtype: Dtype): Handle;
  segmentSum(x: Handle, segments: Handle, count: number): Handle;
  bincount(x: Handle, weights: Handle, size: number, binary: boolean): Handle;
  // matmul.cc
  matmul(a: Handle, b: Handle, transposeA: boolean, transposeB: boolean): Handle;
  fusedMatmul(a: Handle, b: Handle, transposeA: boolean, transposeB: boolean, bias: Maybe, ...rest: Epilogue): Handle;
  linear(x: Handle, kernel: Handle, bias: Maybe): Handle;
  linearInputGrad(dy: Handle, kernel: Handle): Handle;
  linearInputGradOnto(onto: Handle, dy: Handle, kernel: Handle): boolean;
  linearKernelGrad(x: Handle, dy: Handle): Handle;
  einsum(equation: string, operands: readonly Handle[]): Handle;
  // conv.cc
  conv(x: Handle, filter: Handle, ...rest: [...Windows, channelsLast: boolean]): Handle;
  fusedConv(x: Handle, filter: Handle, bias: Maybe, ...rest: [...Windows, channelsLast: boolean, ...Epilogue]): Handle;
  depthwiseConv(
    x: Handle,
    filter: Handle,
    bias: Maybe,
    ...rest: [...Windows, channelsLast: boolean, ...Epilogue]
  ): Handle;
  convInputGrad(
    dy: Handle,
    filter: Handle,
    inputShape: Ints,
    stride: Ints,
    dilation: Ints,
    before: Ints,
    out: Ints,
    channelsLast: boolean,
  ): Handle;
  convFilterGrad(
    x: Handle,
    dy: Handle,
    filterShape: Ints,
    stride: Ints,
    dilation: Ints,
    before: Ints,
    channelsLast: boolean,
  ): Handle;
  depthwiseInputGrad(dy: Handle, filter: Handle, inputShape: Ints, stride: Ints, dilation: Ints, before: Ints): Handle;
  depthwiseFilterGrad(x: Handle, dy: Handle, filterShape: Ints, stride: Ints, dilation: Ints, before: Ints): Handle;
  // pool.cc
  avgPool(x: Handle, kernel: Ints, stride: Ints, before: Ints, out: Ints): Handle;
  avgPoolGrad(dy: Handle, x: Handle, kernel: Ints, stride: Ints, before: Ints, out: Ints): Handle;
  maxPool(x: Handle, kernel: Ints, stride: Ints, dilation: Ints, before: Ints, out: Ints): Handle;
  maxPoolGrad(dy: Handle, x: Handle, kernel: Ints, stride: Ints, dilation: Ints, before: Ints, out: Ints): Handle;
  maxPoolWithArgmax(
    x: Handle,
    kernel: Ints,
    stride: Ints,
    before: Ints,
    out: Ints,
    includeBatch: boolean,
  ): [values: Handle, positions: Handle];
  dilation(x: Handle, filter: Handle, ...rest: Windows): Handle;
  dilationGrad(dy: Handle, x: Handle, filter: Handle, ...rest: [...Windows, ofFilter: boolean]): Handle;
  // norm.cc
  batchNorm(x: Handle, mean: Handle, variance: Handle, offset: Maybe, scale: Maybe, epsilon: number): Handle;
  localResponse(x: Handle, radius: number, bias: number, alpha: number, beta: number): Handle;
  localResponseGrad(
    x: Handle,
    y: Handle,
    dy: Handle,
    radius: number,
    bias: number,
    alpha: number,
    beta: number,
  ): Handle;
  // fused.cc, optimizer.cc, random.cc: see native/ops for shapes
  groupNorm(
    x: Handle,
    gamma: Handle,
    beta: Handle,
    scale: Maybe,
    shift: Maybe,
    groups: number,
    epsilon: number,
    silu: boolean,
  ): [y: Handle, stats: Handle];
  groupNormApply(
    stats: Handle,
    x: Handle,
    gamma: Handle,
    beta: Handle,
    scale: Maybe,
    shift: Maybe,
    groups: number,
    silu: boolean,
  ): Handle;
  groupNormGrad(
    dy: Handle,
    stats: Handle,
    x: Handle,
    gamma: Handle,
    beta: Handle,
    scale: Maybe,
    shift: Maybe,
    groups: number,
    silu: boolean,
    parameters: boolean,
    onto: Maybe,
  ): Handle[];
  layerNorm(x: Handle, gamma: Handle, beta: Handle, epsilon: number): [y: Handle, stats: Handle];
  layerNormGrad(dy: Handle, stats: Handle, x: Handle, gamma: Handle, parameters: boolean, onto: Maybe): Handle[];
  attention(q: Handle, k: Handle, v: Handle, mask: Maybe, heads: number, causal: boolean): [y: Handle, saved: Handle];
  attentionGrad(
    dy: Handle,
    y: Handle,
    saved: Handle,
    q: Handle,
    k: Handle,
    v: Handle,
    mask: Maybe,
    heads: number,
    causal: boolean,
  ): Handle[];
  temporalAttention(q: Handle, k: Handle, v: Handle, heads: number, window: number): [y: Handle, saved: Handle];
  temporalAttentionGrad(
    dy: Handle,
    y: Handle,
    saved: Handle,
    q: Handle,
    k: Handle,
    v: Handle,
    heads: number,
    window: number,
  ): Handle[];
  geglu(x: Handle): Handle;
  gegluGrad(dy: Handle, x: Handle): Handle;
  activation(x: Handle, kind: number): Handle;
  activationGrad(dy: Handle, x: Handle, kind: number): Handle;
  upsample2x(x: Handle): Handle;
  upsample2xGrad(dy: Handle): Handle;
  alphaMix(spatial: Handle, temporal: Handle, mixFactor: Handle, switched: boolean): Handle;
  alphaMixGrad(
    dy: Handle,
    spatial: Handle,
    temporal: Handle,
    mixFactor: Handle,
    switched: boolean,
    ofFactor: boolean,
  ): Handle[];
  biasTimestepAdd(x: Handle, embedding: Handle, bias: Maybe): Handle;
  sumBetween(dy: Handle): Handle;
  columnSum(x: Handle): Handle;
  frozenMatrix(x: Handle): Handle;
  frozenFilter(x: Handle): Handle;
  framesToPixels(packed: Handle, shape: Ints): Handle;
  adamW(
    scalars: Handle,
    variables: readonly Handle[],
    gradients: readonly Handle[],
    m: readonly Handle[],
    v: readonly Handle[],
    ema: readonly Handle[],
    decay: readonly boolean[],
  ): Handle;
  philoxNormal(step: Handle, shape: Ints, seed: number, stream: number, offset: number): Handle;
  // group.cc
  /** attempt: see GroupPlace; else "". host: an address of this machine that the other ranks reach; "": the interface that GLOO_SOCKET_IFNAME names. */
  groupOpen(
    rank: number,
    worldSize: number,
    address: string,
    port: number,
    attempt: string,
    host: string,
  ): Promise<number>;
  groupMean(group: number, variables: readonly Handle[]): void;
  groupBroadcast(group: number, variables: readonly Handle[]): void;
  groupGatherText(group: number, text: string): Promise<string[]>;
  groupClose(group: number): Promise<void>;
  /** As the process ends: what waits for other ranks in threads gives up, and NCCL ends. */
  groupsStop(): void;
  // image.cc
  resizeBilinear(x: Handle, height: number, width: number, alignCorners: boolean, halfPixel: boolean): Handle;
  resizeBilinearGrad(dy: Handle, height: number, width: number, alignCorners: boolean): Handle;
  resizeNearest(x: Handle, height: number, width: number, alignCorners: boolean, halfPixel: boolean): Handle;
  resizeNearestGrad(dy: Handle, height: number, width: number, alignCorners: boolean): Handle;
}

interface Loaded {
  addon: Native;
  build: Build;
}
let loaded: Loaded | undefined;

/**
 * Loads the addon once per thread: the first build that loads. Throws an Error that says how to build it where none is
 * there, and why each does not load where some are.
 */
export function load(): Loaded {
  if (loaded) return loaded;
  const builds = findBuilds();
  if (builds.length === 0) {
    throw new Error(
      'tfjs-backend-torch: the addon is not built. Run `npm run build:torch` (or node scripts/build.mjs in this package); it says what to install.',
    );
  }
  // OpenMP's threads would otherwise spin on the cores that the BLAS library's threads want.
  process.env.OMP_WAIT_POLICY ??= 'passive';
  const failures: string[] = [];
  for (const build of builds) {
    if (build.stale) {
      failures.push(`${build.path} was ${STALE}`);
      continue;
    }
    try {
      const addon = createRequire(import.meta.url)(build.path) as Native;
      setDefaultThreads(addon);
      loaded = {addon, build};
      return loaded;
    } catch (error) {
      failures.push(`${build.path} does not load (${(error as Error).message})`);
    }
  }
  throw new Error(
    `tfjs-backend-torch: ${failures.join('; ')}. Build it again from these sources, for the libtorch that is installed.`,
  );
}

function setDefaultThreads(addon: Native): void {
  const wish = Number(process.env.TFJS_TORCH_THREADS);
  const threads = Number.isInteger(wish) && wish > 0 ? wish : availableParallelism();
  addon.threads(threads, threads);
}

export const native = (): Native => load().addon;
