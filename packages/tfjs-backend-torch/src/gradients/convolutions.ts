// Convolutions: with dilation, which TensorFlow.js refuses, and of the transposed 3-D convolution, which it lacks.
import {type GradConfig, getBackend, type Tensor} from '@tensorflow/tfjs-core';
import {runKernel} from './run_kernel.ts';

/** Only this backend's gradient kernels read `dilations`; others would ignore them. */
function checkDilations(kernelName: string, dilations: number | number[]): void {
  const dilated = [dilations].flat().some(dilation => dilation !== 1);
  if (dilated && getBackend() !== 'torch') {
    throw new Error(
      `Error in gradient of ${kernelName}: dilation rates greater than 1 are not supported in gradients of the ${getBackend()} backend. Got dilations '${dilations}'`,
    );
  }
}

export const conv2dGradient: GradConfig = {
  kernelName: 'Conv2D',
  inputsToSave: ['x', 'filter'],
  gradFunc: (dyGiven, saved, attrs) => {
    const [x, filter] = saved as [Tensor, Tensor];
    const dy = dyGiven as Tensor;
    const {strides, pad, dataFormat, dimRoundingMode, dilations} = attrs;
    checkDilations('conv2D', dilations as number[]);
    const common = {strides, pad, dataFormat, dimRoundingMode, dilations};
    return {
      x: () => runKernel('Conv2DBackpropInput', {dy, filter}, {...common, inputShape: x.shape}),
      filter: () => runKernel('Conv2DBackpropFilter', {x, dy}, {...common, filterShape: filter.shape}),
    };
  },
};

export const conv3dGradient: GradConfig = {
  kernelName: 'Conv3D',
  inputsToSave: ['x', 'filter'],
  gradFunc: (dyGiven, saved, attrs) => {
    const [x, filter] = saved as [Tensor, Tensor];
    const dy = dyGiven as Tensor;
    const {strides, pad, dilations} = attrs;
    checkDilations('conv3D', dilations as number[]);
    return {
      x: () => runKernel('Conv3DBackpropInputV2', {dy, filter}, {strides, pad, dilations, inputShape: x.shape}),
      filter: () => runKernel('Conv3DBackpropFilterV2', {x, dy}, {strides, pad, dilations, filterShape: filter.shape}),
    };
  },
};

/** What conv3dTranspose runs: linear in dy and in the filter. */
export const conv3dTransposeGradient: GradConfig = {
  kernelName: 'Conv3DBackpropInputV2',
  inputsToSave: ['dy', 'filter'],
  gradFunc: (ddx, saved, attrs) => {
    const [dy, filter] = saved as [Tensor, Tensor];
    const x = ddx as Tensor;
    const {strides, pad, dilations = 1} = attrs;
    const conv = {strides, pad, dilations, dataFormat: 'NDHWC'};
    return {
      dy: () => runKernel('Conv3D', {x, filter}, conv),
      filter: () => runKernel('Conv3DBackpropFilterV2', {x, dy}, {strides, pad, dilations, filterShape: filter.shape}),
    };
  },
};
