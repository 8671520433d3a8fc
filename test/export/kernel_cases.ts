// One or more calls of every kernel that has an ONNX form, with odd shapes, and every attribute that changes the form.
import {bools, floats, type Given, ints, normal, uniform} from './support.ts';

export interface KernelCase {
  readonly kernel: string;
  readonly inputs: Given;
  /** Inputs of a kernel that takes a list. */
  readonly list?: boolean;
  readonly attrs?: Readonly<Record<string, unknown>>;
  readonly note?: string;
  /** Inputs that are constants of the function. */
  readonly constant?: readonly string[];
}

const unary = (kernel: string, x = normal(2, 3, 5), attrs = {}): KernelCase => ({kernel, inputs: {x}, attrs});
const binary = (kernel: string, a = normal(2, 1, 5), b = normal(3, 1)): KernelCase => ({kernel, inputs: {a, b}});
const special = floats([6], [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2.5]);
const boxes = floats([5, 4], [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 0.1, 0.1, 0.9, 0.8]);
const image = {x: normal(2, 7, 6, 3)};
const clip = {x: normal(1, 5, 6, 7, 2)};
const conv = {strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1]};
const conv3 = {strides: [1, 1, 1], pad: 'same', dataFormat: 'NDHWC', dilations: [1, 1, 1]};
const explicit = [
  [0, 0],
  [1, 2],
  [0, 1],
  [0, 0],
];

const noMasks = {beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0};

const elementwise: KernelCase[] = [
  ...['Abs', 'Neg', 'Relu', 'Sign', 'Square', 'Relu6'].flatMap(k => [
    unary(k),
    {...unary(k, ints(-9, 9, 4, 3)), note: 'int32'},
  ]),
  ...['Atan', 'Asinh', 'Ceil', 'Cos', 'Cosh', 'Elu', 'Erf', 'Exp', 'Floor', 'Selu', 'Sigmoid', 'Sin', 'Sinh'].map(k =>
    unary(k),
  ),
  ...['Softplus', 'Tan', 'Tanh', 'Expm1', 'Reciprocal', 'Round'].map(k => unary(k)),
  {...unary('Round', floats([6], [0.5, 1.5, 2.5, -0.5, -1.5, 0.49])), note: 'halves'},
  ...['Acos', 'Asin', 'Atanh'].map(k => unary(k, uniform(-0.9, 0.9, 3, 5))),
  ...['Log', 'Sqrt', 'Rsqrt', 'Log1p'].map(k => unary(k, uniform(0.1, 5, 3, 5))),
  ...['Expm1', 'Log1p'].map(k => ({...unary(k, uniform(-1e-4, 1e-4, 7)), note: 'near zero'})),
  unary('Acosh', uniform(1.1, 5, 7)),
  ...['IsNan', 'IsInf', 'IsFinite'].map(k => unary(k, special)),
  unary('LogicalNot', bools(3, 5)),
  unary('ClipByValue', normal(3, 7), {clipValueMin: -0.5, clipValueMax: 0.25}),
  unary('LeakyRelu', normal(3, 7), {alpha: 0.1}),
  unary('Step', floats([5], [-1, 0, 2, Number.NaN, 0.5]), {alpha: 0.25}),
  {kernel: 'Prelu', inputs: {x: normal(2, 3, 5), alpha: normal(3, 1)}},
  {kernel: 'EluGrad', inputs: {dy: normal(2, 5), y: normal(2, 5)}},
  ...['Cos', 'Sqrt'].map(k => ({...unary(k, ints(0, 9, 7)), note: 'int32'})),
  ...['Add', 'Sub', 'Multiply', 'Maximum', 'Minimum', 'SquaredDifference'].flatMap(k => [
    binary(k),
    {...binary(k, ints(-9, 9, 3, 1), ints(-9, 9, 4)), note: 'int32'},
  ]),
  binary('RealDiv'),
  binary('Pow', uniform(0.1, 3, 3, 1), normal(4)),
  ...['FloorDiv', 'Mod'].flatMap(k => [
    binary(k),
    {...binary(k, ints(-20, 20, 7, 5), ints(1, 6, 5)), note: 'int32'},
    {...binary(k, ints(-20, 20, 7, 5), ints(-6, 0, 5)), note: 'int32, negative divisor'},
  ]),
  binary('Atan2'),
  {...binary('Atan2', floats([6], [0, 1, -1, 0, 2, -3]), floats([6], [1, 0, 0, -1, -2, -4])), note: 'on the axes'},
  ...['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual'].map(k =>
    binary(k, ints(0, 4, 5, 1), ints(0, 4, 6)),
  ),
  ...['LogicalAnd', 'LogicalOr'].map(k => binary(k, bools(5, 1), bools(6))),
  binary('BitwiseAnd', ints(-1000000, 1000000, 5, 1), ints(-70000, 70000, 6)),
  {kernel: 'AddN', list: true, inputs: {a: normal(3, 5), b: normal(3, 5), c: normal(3, 5)}},
  {kernel: 'Select', inputs: {condition: bools(3, 5), t: normal(3, 5), e: normal(3, 5)}},
  {kernel: 'Cast', inputs: {x: normal(7)}, attrs: {dtype: 'int32'}},
  {kernel: 'Cast', inputs: {x: ints(0, 3, 7)}, attrs: {dtype: 'bool'}, note: 'bool'},
];

const reductions: KernelCase[] = [
  ...['Sum', 'Mean', 'Min', 'Prod'].flatMap(k => [
    unary(k, normal(3, 4, 5), {axis: [1], keepDims: false}),
    {...unary(k, normal(3, 4, 5), {axis: [2, 0], keepDims: true}), note: 'kept'},
    {...unary(k, ints(1, 4, 2, 5), {axis: 1, keepDims: false}), note: 'int32'},
  ]),
  unary('Max', normal(3, 4, 5), {reductionIndices: [1], keepDims: false}),
  {...unary('Max', ints(1, 9, 3, 4), {reductionIndices: [1, 0], keepDims: true}), note: 'kept, int32'},
  ...['All', 'Any'].map(k => unary(k, bools(4, 3), {axis: [1], keepDims: false})),
  ...['ArgMax', 'ArgMin'].map(k => unary(k, normal(3, 7, 2), {axis: 1})),
  {kernel: 'Softmax', inputs: {logits: normal(3, 2, 7)}, attrs: {dim: 2}},
  unary('Cumsum', normal(3, 5, 2), {axis: 1, exclusive: false, reverse: false}),
  {...unary('Cumsum', normal(3, 5), {axis: 1, exclusive: true, reverse: true}), note: 'exclusive, reverse'},
  unary('Cumprod', normal(3, 5, 2), {axis: 1, exclusive: false, reverse: false}),
  {...unary('Cumprod', normal(3, 5), {axis: 0, exclusive: true, reverse: true}), note: 'exclusive, reverse'},
  {kernel: 'Bincount', inputs: {x: ints(0, 7, 12), weights: normal(12)}, attrs: {size: 5}},
  {
    kernel: 'Bincount',
    inputs: {x: ints(0, 7, 12), weights: normal(0)},
    attrs: {size: 5},
    note: 'no weights',
    constant: ['weights'],
  },
  {
    kernel: 'DenseBincount',
    inputs: {x: ints(0, 7, 3, 4), weights: normal(3, 4)},
    attrs: {size: 6, binaryOutput: false},
  },
  {
    kernel: 'DenseBincount',
    inputs: {x: ints(0, 7, 3, 4), weights: normal(3, 4)},
    attrs: {size: 6, binaryOutput: true},
    note: 'binary',
  },
  unary('TopK', normal(3, 9), {k: 4, sorted: true}),
  {kernel: 'UnsortedSegmentSum', inputs: {x: normal(6, 2, 3), segmentIds: ints(-1, 5, 6)}, attrs: {numSegments: 4}},
  ...['SparseSegmentSum', 'SparseSegmentMean'].map(k => ({
    kernel: k,
    inputs: {
      data: normal(5, 3),
      indices: ints(0, 5, 4),
      segmentIds: {dtype: 'int32' as const, shape: [4], data: Int32Array.of(0, 0, 2, 2)},
    },
    constant: ['segmentIds'],
  })),
  ...['left', 'right'].map(side => ({
    kernel: 'SearchSorted',
    inputs: {
      sortedSequence: floats([2, 4], [0, 1, 1, 3, -2, -1, 4, 5]),
      values: floats([2, 3], [1, 0.5, 9, -1, 4, -3]),
    },
    attrs: {side},
    note: side,
  })),
];

const shapes: KernelCase[] = [
  unary('Identity'),
  unary('Reshape', normal(2, 3, 5), {shape: [3, -1]}),
  {kernel: 'ExpandDims', inputs: {input: normal(3, 5)}, attrs: {dim: -2}},
  unary('Transpose', normal(2, 3, 5, 1), {perm: [2, 0, 3, 1]}),
  unary('Slice', normal(5, 6, 7), {begin: [1, 0, 3], size: [2, -1, 4]}),
  unary('StridedSlice', normal(5, 6, 7), {
    ...noMasks,
    begin: [4, 1, 0],
    end: [0, 6, 3],
    strides: [-2, 2, 1],
    endMask: 1,
  }),
  {
    ...unary('StridedSlice', normal(5, 6, 7), {
      ...noMasks,
      begin: [1, 2, 3],
      end: [4, 5, 4],
      strides: [1, 1, 1],
      shrinkAxisMask: 4,
    }),
    note: 'an axis less',
  },
  {
    kernel: 'Concat',
    list: true,
    inputs: {a: normal(2, 3, 4), b: normal(2, 1, 4), c: normal(2, 2, 4)},
    attrs: {axis: 1},
  },
  {kernel: 'Pack', list: true, inputs: {a: normal(2, 3), b: normal(2, 3)}, attrs: {axis: 1}},
  {kernel: 'Unpack', inputs: {value: normal(2, 3, 4)}, attrs: {axis: 1}},
  unary('SplitV', normal(2, 6, 3), {numOrSizeSplits: [1, -1, 2], axis: 1}),
  {...unary('SplitV', normal(2, 6), {numOrSizeSplits: 3, axis: -1}), note: 'equal parts'},
  unary('Tile', normal(2, 3), {reps: [3, 2]}),
  unary('PadV2', normal(2, 3, 4), {
    paddings: [
      [1, 0],
      [0, 2],
      [0, 0],
    ],
    constantValue: 0.5,
  }),
  unary('MirrorPad', normal(4, 5), {
    paddings: [
      [1, 2],
      [3, 0],
    ],
    mode: 'reflect',
  }),
  {
    ...unary('MirrorPad', normal(4, 5), {
      paddings: [
        [1, 2],
        [3, 0],
      ],
      mode: 'symmetric',
    }),
    note: 'symmetric',
  },
  unary('Reverse', normal(2, 3, 4), {dims: [0, 2]}),
  {kernel: 'GatherV2', inputs: {x: normal(4, 5, 2), indices: ints(0, 5, 3)}, attrs: {axis: 1, batchDims: 0}},
  {
    kernel: 'GatherV2',
    inputs: {x: normal(3, 4, 5, 2), indices: ints(0, 5, 3, 6)},
    attrs: {axis: 2, batchDims: 1},
    note: 'batch',
  },
  {kernel: 'GatherNd', inputs: {params: normal(4, 5, 2), indices: ints(0, 4, 3, 2)}},
  {kernel: 'ScatterNd', inputs: {indices: ints(0, 4, 6, 1), updates: normal(6, 3)}, attrs: {shape: [4, 3]}},
  {
    kernel: 'TensorScatterUpdate',
    inputs: {
      tensor: normal(5, 3),
      indices: {dtype: 'int32', shape: [2, 1], data: Int32Array.of(3, 0)},
      updates: normal(2, 3),
    },
  },
  {
    kernel: 'SparseToDense',
    inputs: {
      sparseIndices: {dtype: 'int32', shape: [2, 2], data: Int32Array.of(0, 1, 3, 2)},
      sparseValues: normal(2),
      defaultValue: floats([], [0.5]),
    },
    attrs: {outputShape: [4, 3]},
  },
  {
    kernel: 'BroadcastArgs',
    inputs: {
      s0: {dtype: 'int32', shape: [3], data: Int32Array.of(1, 5, 1)},
      s1: {dtype: 'int32', shape: [2], data: Int32Array.of(1, 7)},
    },
  },
  {
    kernel: 'OneHot',
    inputs: {indices: ints(-2, 7, 3, 4)},
    attrs: {depth: 5, onValue: 2, offValue: -1, dtype: 'float32'},
  },
  unary('OnesLike'),
  unary('ZerosLike', ints(0, 3, 4)),
  {kernel: 'Fill', inputs: {}, attrs: {shape: [2, 3], value: 0.25, dtype: 'float32'}},
  {kernel: 'Range', inputs: {}, attrs: {start: 1, stop: 7, step: 2, dtype: 'int32'}},
  {kernel: 'LinSpace', inputs: {}, attrs: {start: 1, stop: 2, num: 5}},
  unary('Diag', normal(2, 3)),
  unary('SpaceToBatchND', normal(2, 4, 5, 3), {
    blockShape: [2, 3],
    paddings: [
      [1, 1],
      [0, 1],
    ],
  }),
  unary('BatchToSpaceND', normal(12, 2, 3, 2), {
    blockShape: [2, 3],
    crops: [
      [1, 0],
      [0, 2],
    ],
  }),
  unary('DepthToSpace', normal(2, 3, 4, 12), {blockSize: 2, dataFormat: 'NHWC'}),
];

const products: KernelCase[] = [
  ...[false, true].flatMap(transposeA =>
    [false, true].map(transposeB => ({
      kernel: 'BatchMatMul',
      inputs: {a: transposeA ? normal(2, 5, 3) : normal(2, 3, 5), b: transposeB ? normal(2, 4, 5) : normal(2, 5, 4)},
      attrs: {transposeA, transposeB},
      note: `${transposeA}, ${transposeB}`,
    })),
  ),
  ...['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'].map(activation => ({
    kernel: '_FusedMatMul',
    inputs: {a: normal(2, 3, 5), b: normal(2, 5, 4), bias: normal(4)},
    attrs: {transposeA: false, transposeB: false, activation, leakyreluAlpha: 0.3},
    note: activation,
  })),
  {kernel: 'Einsum', list: true, inputs: {a: normal(2, 3, 5), b: normal(5, 4)}, attrs: {equation: 'bij,jk->bki'}},
];

const convolutions: KernelCase[] = [
  {kernel: 'Conv2D', inputs: {...image, filter: normal(3, 3, 3, 4)}, attrs: conv},
  {
    kernel: 'Conv2D',
    inputs: {...image, filter: normal(3, 2, 3, 4)},
    attrs: {...conv, strides: [2, 2], pad: explicit},
    note: 'explicit',
  },
  {
    kernel: 'Conv2D',
    inputs: {...image, filter: normal(2, 2, 3, 4)},
    attrs: {...conv, pad: 'valid', dilations: [2, 3]},
    note: 'dilated',
  },
  {
    kernel: 'FusedConv2D',
    inputs: {...image, filter: normal(3, 3, 3, 4), bias: normal(4)},
    attrs: {...conv, activation: 'relu'},
  },
  {
    kernel: 'FusedConv2D',
    inputs: {...image, filter: normal(1, 1, 3, 4), bias: normal(4), preluActivationWeights: normal(4)},
    attrs: {...conv, activation: 'prelu'},
    note: 'prelu',
  },
  {kernel: 'DepthwiseConv2dNative', inputs: {...image, filter: normal(3, 3, 3, 2)}, attrs: {...conv, strides: 2}},
  {
    kernel: 'FusedDepthwiseConv2D',
    inputs: {...image, filter: normal(3, 3, 3, 1), bias: normal(3)},
    attrs: {...conv, activation: 'elu'},
  },
  {kernel: 'Conv3D', inputs: {...clip, filter: normal(3, 1, 2, 2, 3)}, attrs: conv3},
  {
    kernel: 'Conv3D',
    inputs: {...clip, filter: normal(3, 3, 3, 2, 3)},
    attrs: {...conv3, strides: [1, 2, 2], pad: 'valid'},
    note: 'strided',
  },
  {
    kernel: 'Conv2DBackpropInput',
    inputs: {dy: normal(2, 4, 3, 4), filter: normal(3, 2, 3, 4)},
    attrs: {...conv, strides: [2, 2], inputShape: [2, 7, 6, 3]},
  },
  {
    kernel: 'Conv2DBackpropFilter',
    inputs: {...image, dy: normal(2, 4, 3, 4)},
    attrs: {...conv, strides: [2, 2], filterShape: [3, 2, 3, 4]},
  },
  {
    kernel: 'Conv3DBackpropInputV2',
    inputs: {dy: normal(1, 5, 3, 4, 3), filter: normal(3, 2, 2, 2, 3)},
    attrs: {...conv3, strides: [1, 2, 2], inputShape: [1, 5, 6, 7, 2]},
  },
  {
    kernel: 'Conv3DBackpropFilterV2',
    inputs: {...clip, dy: normal(1, 5, 3, 4, 3)},
    attrs: {...conv3, strides: [1, 2, 2], filterShape: [3, 2, 2, 2, 3]},
  },
  {
    kernel: 'DepthwiseConv2dNativeBackpropInput',
    inputs: {dy: normal(2, 7, 6, 6), filter: normal(3, 3, 3, 2)},
    attrs: {...conv, inputShape: [2, 7, 6, 3]},
  },
  {
    kernel: 'DepthwiseConv2dNativeBackpropFilter',
    inputs: {...image, dy: normal(2, 7, 6, 6)},
    attrs: {...conv, filterShape: [3, 3, 3, 2]},
  },
  ...['AvgPool', 'MaxPool'].flatMap(k => [
    {kernel: k, inputs: image, attrs: {filterSize: [3, 2], strides: [2, 1], pad: 'same'}},
    {kernel: k, inputs: image, attrs: {filterSize: 3, strides: 2, pad: 'valid'}, note: 'valid'},
  ]),
  ...['AvgPool3D', 'MaxPool3D'].map(k => ({
    kernel: k,
    inputs: clip,
    attrs: {filterSize: [2, 3, 2], strides: [1, 2, 2], pad: 'same', dataFormat: 'NDHWC'},
  })),
  {
    kernel: 'MaxPoolWithArgmax',
    inputs: image,
    attrs: {filterSize: [2, 2], strides: [2, 2], pad: 'same', includeBatchInIndex: true},
  },
  {
    kernel: 'MaxPoolWithArgmax',
    inputs: image,
    attrs: {filterSize: [2, 2], strides: [2, 2], pad: 'valid', includeBatchInIndex: false},
    note: 'no batch',
  },
  {
    kernel: 'AvgPoolGrad',
    inputs: {dy: normal(2, 4, 6, 3), input: normal(2, 7, 6, 3)},
    attrs: {filterSize: [3, 2], strides: [2, 1], pad: 'same'},
  },
  {
    kernel: 'MaxPoolGrad',
    inputs: {dy: normal(2, 3, 2, 3), input: normal(2, 7, 6, 3), output: normal(2, 3, 2, 3)},
    attrs: {filterSize: [3, 3], strides: [2, 2], pad: 'valid'},
  },
  {
    kernel: 'AvgPool3DGrad',
    inputs: {dy: normal(1, 3, 3, 4, 2), input: normal(1, 5, 6, 7, 2)},
    attrs: {filterSize: [2, 3, 2], strides: [2, 2, 2], pad: 'same'},
  },
  {
    kernel: 'MaxPool3DGrad',
    inputs: {dy: normal(1, 3, 3, 4, 2), input: normal(1, 5, 6, 7, 2), output: normal(1, 3, 3, 4, 2)},
    attrs: {filterSize: [2, 3, 3], strides: [2, 2, 2], pad: 'same'},
  },
  {
    kernel: 'Dilation2D',
    inputs: {...image, filter: normal(3, 2, 3)},
    attrs: {strides: [1, 2], pad: 'same', dilations: [1, 1]},
  },
  ...['Dilation2DBackpropInput', 'Dilation2DBackpropFilter'].map(k => ({
    kernel: k,
    inputs: {...image, filter: normal(3, 2, 3), dy: normal(2, 7, 3, 3)},
    attrs: {strides: [1, 2], pad: 'same', dilations: [1, 1]},
  })),
  {
    kernel: 'FusedBatchNorm',
    inputs: {...image, mean: normal(3), variance: uniform(0.1, 2, 3), scale: normal(3), offset: normal(3)},
    attrs: {varianceEpsilon: 1e-3},
  },
  {kernel: 'LRN', inputs: {x: normal(2, 3, 4, 7)}, attrs: {depthRadius: 2, bias: 1.5, alpha: 0.5, beta: 0.75}},
  {
    kernel: 'LRNGrad',
    inputs: {x: normal(2, 3, 4, 7), y: normal(2, 3, 4, 7), dy: normal(2, 3, 4, 7)},
    attrs: {depthRadius: 2, bias: 1.5, alpha: 0.5, beta: 0.75},
  },
];

const images: KernelCase[] = [
  ...['ResizeBilinear', 'ResizeNearestNeighbor'].flatMap(kernel =>
    [
      [false, false],
      [true, false],
      [false, true],
    ].flatMap(([alignCorners, halfPixelCenters]) =>
      [
        [9, 4],
        [14, 12],
      ].map(size => ({
        kernel,
        inputs: {images: normal(2, 7, 6, 3)},
        attrs: {alignCorners, halfPixelCenters, size},
        note: `${alignCorners}, ${halfPixelCenters}, ${size}`,
      })),
    ),
  ),
  ...['ResizeBilinearGrad', 'ResizeNearestNeighborGrad'].flatMap(kernel =>
    [false, true].map(alignCorners => ({
      kernel,
      inputs: {images: normal(1, 5, 5, 3), dy: normal(1, 9, 7, 3)},
      attrs: {alignCorners},
      note: `${alignCorners}`,
    })),
  ),
  ...['bilinear', 'nearest'].map(method => ({
    kernel: 'CropAndResize',
    inputs: {
      image: normal(2, 7, 6, 3),
      boxes: floats([3, 4], [0, 0, 1, 1, 0.2, -0.3, 0.7, 0.6, 0.9, 0.75, 0.1, 1.2]),
      boxInd: {dtype: 'int32' as const, shape: [3], data: Int32Array.of(0, 1, 1)},
    },
    attrs: {cropSize: [4, 5], method, extrapolationValue: 0.5},
    note: method,
  })),
  {kernel: 'FlipLeftRight', inputs: {image: normal(2, 3, 5, 2)}},
  {
    kernel: 'RotateWithOffset',
    inputs: {image: normal(2, 7, 6, 3)},
    attrs: {radians: 0.6, fillValue: 0.25, center: [0.4, 0.6]},
  },
  {
    kernel: 'RotateWithOffset',
    inputs: {image: normal(1, 7, 6, 4)},
    attrs: {radians: -2, fillValue: [1, 2, 3], center: 0.5},
    note: 'colour',
  },
  ...['constant', 'reflect', 'wrap', 'nearest'].flatMap(fillMode =>
    ['nearest', 'bilinear'].map(interpolation => ({
      kernel: 'Transform',
      inputs: {image: normal(1, 7, 6, 3), transforms: floats([1, 8], [1.3, 0.2, -2.1, -0.15, 0.9, 3.2, 0.01, -0.02])},
      attrs: {interpolation, fillMode, fillValue: 0.5, outputShape: [5, 8]},
      note: `${fillMode}, ${interpolation}`,
      constant: ['transforms'],
    })),
  ),
  {
    kernel: 'NonMaxSuppressionV4',
    inputs: {boxes, scores: floats([5], [0.9, 0.75, 0.6, 0.95, 0.5])},
    attrs: {maxOutputSize: 4, iouThreshold: 0.5, scoreThreshold: 0.1, padToMaxOutputSize: true},
  },
];

export const kernelCases: readonly KernelCase[] = [
  ...elementwise,
  ...reductions,
  ...shapes,
  ...products,
  ...convolutions,
  ...images,
];
