// Every kernel of the torch backend, registered by registerAllKernels().
import {type KernelConfig, registerKernel} from '@tensorflow/tfjs-core';
import {hostKernels} from './host_adapter.ts';
import fusedMatMul from './kernels/_FusedMatMul.ts';
import abs from './kernels/Abs.ts';
import acos from './kernels/Acos.ts';
import acosh from './kernels/Acosh.ts';
import adamWStep from './kernels/AdamWStep.ts';
import add from './kernels/Add.ts';
import addN from './kernels/AddN.ts';
import all from './kernels/All.ts';
import alphaMix from './kernels/AlphaMix.ts';
import alphaMixGrad from './kernels/AlphaMixGrad.ts';
import any from './kernels/Any.ts';
import argMax from './kernels/ArgMax.ts';
import argMin from './kernels/ArgMin.ts';
import asin from './kernels/Asin.ts';
import asinh from './kernels/Asinh.ts';
import atan from './kernels/Atan.ts';
import atan2 from './kernels/Atan2.ts';
import atanh from './kernels/Atanh.ts';
import avgPool from './kernels/AvgPool.ts';
import avgPool3D from './kernels/AvgPool3D.ts';
import avgPool3DGrad from './kernels/AvgPool3DGrad.ts';
import avgPoolGrad from './kernels/AvgPoolGrad.ts';
import batchMatMul from './kernels/BatchMatMul.ts';
import batchToSpaceND from './kernels/BatchToSpaceND.ts';
import biasTimestepAdd from './kernels/BiasTimestepAdd.ts';
import biasTimestepAddGrad from './kernels/BiasTimestepAddGrad.ts';
import bincount from './kernels/Bincount.ts';
import bitwiseAnd from './kernels/BitwiseAnd.ts';
import broadcastArgs from './kernels/BroadcastArgs.ts';
import cast from './kernels/Cast.ts';
import ceil from './kernels/Ceil.ts';
import clipByValue from './kernels/ClipByValue.ts';
import columnSum from './kernels/ColumnSum.ts';
import complex from './kernels/Complex.ts';
import complexAbs from './kernels/ComplexAbs.ts';
import concat from './kernels/Concat.ts';
import conv2D from './kernels/Conv2D.ts';
import conv2DBackpropFilter from './kernels/Conv2DBackpropFilter.ts';
import conv2DBackpropInput from './kernels/Conv2DBackpropInput.ts';
import conv3D from './kernels/Conv3D.ts';
import conv3DBackpropFilterV2 from './kernels/Conv3DBackpropFilterV2.ts';
import conv3DBackpropInputV2 from './kernels/Conv3DBackpropInputV2.ts';
import cos from './kernels/Cos.ts';
import cosh from './kernels/Cosh.ts';
import cumprod from './kernels/Cumprod.ts';
import cumsum from './kernels/Cumsum.ts';
import denseBincount from './kernels/DenseBincount.ts';
import depthToSpace from './kernels/DepthToSpace.ts';
import depthwiseConv2dNative from './kernels/DepthwiseConv2dNative.ts';
import depthwiseConv2dNativeBackpropFilter from './kernels/DepthwiseConv2dNativeBackpropFilter.ts';
import depthwiseConv2dNativeBackpropInput from './kernels/DepthwiseConv2dNativeBackpropInput.ts';
import diag from './kernels/Diag.ts';
import dilation2D from './kernels/Dilation2D.ts';
import dilation2DBackpropFilter from './kernels/Dilation2DBackpropFilter.ts';
import dilation2DBackpropInput from './kernels/Dilation2DBackpropInput.ts';
import einsum from './kernels/Einsum.ts';
import elu from './kernels/Elu.ts';
import eluGrad from './kernels/EluGrad.ts';
import equal from './kernels/Equal.ts';
import erf from './kernels/Erf.ts';
import exp from './kernels/Exp.ts';
import expandDims from './kernels/ExpandDims.ts';
import expm1 from './kernels/Expm1.ts';
import fft from './kernels/FFT.ts';
import fill from './kernels/Fill.ts';
import flipLeftRight from './kernels/FlipLeftRight.ts';
import floor from './kernels/Floor.ts';
import floorDiv from './kernels/FloorDiv.ts';
import framesToPixels from './kernels/FramesToPixels.ts';
import frozenStorage from './kernels/FrozenStorage.ts';
import fusedActivation from './kernels/FusedActivation.ts';
import fusedActivationGrad from './kernels/FusedActivationGrad.ts';
import fusedBatchNorm from './kernels/FusedBatchNorm.ts';
import fusedConv2D from './kernels/FusedConv2D.ts';
import fusedDepthwiseConv2D from './kernels/FusedDepthwiseConv2D.ts';
import fusedGroupNorm from './kernels/FusedGroupNorm.ts';
import fusedGroupNormApply from './kernels/FusedGroupNormApply.ts';
import fusedGroupNormGrad from './kernels/FusedGroupNormGrad.ts';
import fusedGroupNormGradOnto from './kernels/FusedGroupNormGradOnto.ts';
import fusedLayerNorm from './kernels/FusedLayerNorm.ts';
import fusedLayerNormGrad from './kernels/FusedLayerNormGrad.ts';
import fusedLayerNormGradOnto from './kernels/FusedLayerNormGradOnto.ts';
import fusedLinear from './kernels/FusedLinear.ts';
import fusedLinearInputGrad from './kernels/FusedLinearInputGrad.ts';
import fusedLinearInputGradOnto from './kernels/FusedLinearInputGradOnto.ts';
import fusedLinearKernelGrad from './kernels/FusedLinearKernelGrad.ts';
import gatherNd from './kernels/GatherNd.ts';
import gatherV2 from './kernels/GatherV2.ts';
import geglu from './kernels/Geglu.ts';
import gegluGrad from './kernels/GegluGrad.ts';
import greater from './kernels/Greater.ts';
import greaterEqual from './kernels/GreaterEqual.ts';
import identity from './kernels/Identity.ts';
import ifft from './kernels/IFFT.ts';
import imag from './kernels/Imag.ts';
import isFiniteTest from './kernels/IsFinite.ts';
import isInfTest from './kernels/IsInf.ts';
import isNanTest from './kernels/IsNan.ts';
import leakyRelu from './kernels/LeakyRelu.ts';
import less from './kernels/Less.ts';
import lessEqual from './kernels/LessEqual.ts';
import linSpace from './kernels/LinSpace.ts';
import log from './kernels/Log.ts';
import log1p from './kernels/Log1p.ts';
import logicalAnd from './kernels/LogicalAnd.ts';
import logicalNot from './kernels/LogicalNot.ts';
import logicalOr from './kernels/LogicalOr.ts';
import logSoftmax from './kernels/LogSoftmax.ts';
import lrn from './kernels/LRN.ts';
import lrngrad from './kernels/LRNGrad.ts';
import max from './kernels/Max.ts';
import maximum from './kernels/Maximum.ts';
import maxPool from './kernels/MaxPool.ts';
import maxPool3D from './kernels/MaxPool3D.ts';
import maxPool3DGrad from './kernels/MaxPool3DGrad.ts';
import maxPoolGrad from './kernels/MaxPoolGrad.ts';
import maxPoolWithArgmax from './kernels/MaxPoolWithArgmax.ts';
import mean from './kernels/Mean.ts';
import min from './kernels/Min.ts';
import minimum from './kernels/Minimum.ts';
import mirrorPad from './kernels/MirrorPad.ts';
import mod from './kernels/Mod.ts';
import multiply from './kernels/Multiply.ts';
import neg from './kernels/Neg.ts';
import notEqual from './kernels/NotEqual.ts';
import oneHot from './kernels/OneHot.ts';
import onesLike from './kernels/OnesLike.ts';
import overwrite from './kernels/Overwrite.ts';
import pack from './kernels/Pack.ts';
import padV2 from './kernels/PadV2.ts';
import philoxNormal from './kernels/PhiloxNormal.ts';
import pow from './kernels/Pow.ts';
import prelu from './kernels/Prelu.ts';
import prod from './kernels/Prod.ts';
import range from './kernels/Range.ts';
import real from './kernels/Real.ts';
import realDiv from './kernels/RealDiv.ts';
import reciprocal from './kernels/Reciprocal.ts';
import relu from './kernels/Relu.ts';
import relu6 from './kernels/Relu6.ts';
import reshape from './kernels/Reshape.ts';
import resizeBilinear from './kernels/ResizeBilinear.ts';
import resizeBilinearGrad from './kernels/ResizeBilinearGrad.ts';
import resizeNearestNeighbor from './kernels/ResizeNearestNeighbor.ts';
import resizeNearestNeighborGrad from './kernels/ResizeNearestNeighborGrad.ts';
import reverse from './kernels/Reverse.ts';
import round from './kernels/Round.ts';
import rsqrt from './kernels/Rsqrt.ts';
import scaledDotProductAttention from './kernels/ScaledDotProductAttention.ts';
import scaledDotProductAttentionGrad from './kernels/ScaledDotProductAttentionGrad.ts';
import scatterNd from './kernels/ScatterNd.ts';
import select from './kernels/Select.ts';
import selu from './kernels/Selu.ts';
import sigmoid from './kernels/Sigmoid.ts';
import sign from './kernels/Sign.ts';
import sin from './kernels/Sin.ts';
import sinh from './kernels/Sinh.ts';
import slice from './kernels/Slice.ts';
import softmax from './kernels/Softmax.ts';
import softplus from './kernels/Softplus.ts';
import spaceToBatchND from './kernels/SpaceToBatchND.ts';
import spaceToDepth from './kernels/SpaceToDepth.ts';
import sparseToDense from './kernels/SparseToDense.ts';
import splitV from './kernels/SplitV.ts';
import sqrt from './kernels/Sqrt.ts';
import square from './kernels/Square.ts';
import squaredDifference from './kernels/SquaredDifference.ts';
import step from './kernels/Step.ts';
import stridedSlice from './kernels/StridedSlice.ts';
import stridedSliceGrad from './kernels/StridedSliceGrad.ts';
import sub from './kernels/Sub.ts';
import sum from './kernels/Sum.ts';
import tan from './kernels/Tan.ts';
import tanh from './kernels/Tanh.ts';
import temporalAttention from './kernels/TemporalAttention.ts';
import temporalAttentionGrad from './kernels/TemporalAttentionGrad.ts';
import tensorScatterUpdate from './kernels/TensorScatterUpdate.ts';
import tile from './kernels/Tile.ts';
import topK from './kernels/TopK.ts';
import transpose from './kernels/Transpose.ts';
import unpack from './kernels/Unpack.ts';
import unsortedSegmentSum from './kernels/UnsortedSegmentSum.ts';
import upsampleNearest2x from './kernels/UpsampleNearest2x.ts';
import upsampleNearest2xGrad from './kernels/UpsampleNearest2xGrad.ts';
import zerosLike from './kernels/ZerosLike.ts';

export const kernels: readonly KernelConfig[] = [
  abs,
  acos,
  acosh,
  add,
  addN,
  all,
  any,
  argMax,
  argMin,
  asin,
  asinh,
  atan,
  atan2,
  atanh,
  avgPool,
  avgPool3D,
  avgPool3DGrad,
  avgPoolGrad,
  batchMatMul,
  batchToSpaceND,
  bincount,
  bitwiseAnd,
  broadcastArgs,
  cast,
  ceil,
  clipByValue,
  complex,
  complexAbs,
  concat,
  conv2D,
  conv2DBackpropFilter,
  conv2DBackpropInput,
  conv3D,
  conv3DBackpropFilterV2,
  conv3DBackpropInputV2,
  cos,
  cosh,
  cumprod,
  cumsum,
  denseBincount,
  depthToSpace,
  depthwiseConv2dNative,
  depthwiseConv2dNativeBackpropFilter,
  depthwiseConv2dNativeBackpropInput,
  diag,
  dilation2D,
  dilation2DBackpropFilter,
  dilation2DBackpropInput,
  einsum,
  elu,
  eluGrad,
  equal,
  erf,
  exp,
  expandDims,
  expm1,
  fft,
  fill,
  flipLeftRight,
  floor,
  floorDiv,
  fusedBatchNorm,
  fusedConv2D,
  fusedDepthwiseConv2D,
  fusedMatMul,
  gatherNd,
  gatherV2,
  greater,
  greaterEqual,
  identity,
  ifft,
  imag,
  isFiniteTest,
  isInfTest,
  isNanTest,
  leakyRelu,
  less,
  lessEqual,
  linSpace,
  log,
  log1p,
  logicalAnd,
  logicalNot,
  logicalOr,
  logSoftmax,
  lrn,
  lrngrad,
  max,
  maximum,
  maxPool,
  maxPool3D,
  maxPool3DGrad,
  maxPoolGrad,
  maxPoolWithArgmax,
  mean,
  min,
  minimum,
  mirrorPad,
  mod,
  multiply,
  neg,
  notEqual,
  oneHot,
  onesLike,
  overwrite,
  pack,
  padV2,
  pow,
  prelu,
  prod,
  range,
  real,
  realDiv,
  reciprocal,
  relu,
  relu6,
  reshape,
  resizeBilinear,
  resizeBilinearGrad,
  resizeNearestNeighbor,
  resizeNearestNeighborGrad,
  reverse,
  round,
  rsqrt,
  scatterNd,
  select,
  selu,
  sigmoid,
  sign,
  sin,
  sinh,
  slice,
  softmax,
  softplus,
  spaceToBatchND,
  spaceToDepth,
  sparseToDense,
  splitV,
  sqrt,
  square,
  squaredDifference,
  step,
  stridedSlice,
  stridedSliceGrad,
  sub,
  sum,
  tan,
  tanh,
  tensorScatterUpdate,
  tile,
  topK,
  transpose,
  unpack,
  unsortedSegmentSum,
  zerosLike,
  fusedGroupNorm,
  fusedGroupNormApply,
  fusedGroupNormGrad,
  fusedGroupNormGradOnto,
  fusedLayerNorm,
  fusedLayerNormGrad,
  fusedLayerNormGradOnto,
  scaledDotProductAttention,
  scaledDotProductAttentionGrad,
  temporalAttention,
  temporalAttentionGrad,
  geglu,
  gegluGrad,
  frozenStorage,
  fusedActivation,
  fusedActivationGrad,
  upsampleNearest2x,
  upsampleNearest2xGrad,
  alphaMix,
  alphaMixGrad,
  biasTimestepAdd,
  biasTimestepAddGrad,
  fusedLinear,
  fusedLinearInputGrad,
  fusedLinearInputGradOnto,
  fusedLinearKernelGrad,
  columnSum,
  framesToPixels,
  philoxNormal,
  adamWStep,
  ...hostKernels,
];

export function registerAllKernels(): void {
  for (const config of kernels) registerKernel(config);
}
