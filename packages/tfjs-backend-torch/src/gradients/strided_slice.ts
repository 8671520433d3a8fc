// StridedSlice: dy at the places that were read, from the StridedSliceGrad kernel or, on other backends, axis by axis.

import type {Tensor1D} from '@tensorflow/tfjs-core';
import {
  type GradConfig,
  range,
  reshape,
  slice_util,
  type Tensor,
  transpose,
  unsortedSegmentSum,
} from '@tensorflow/tfjs-core';
import {hasKernel, runKernel} from './run_kernel.ts';

export const stridedSliceGradient: GradConfig = {
  kernelName: 'StridedSlice',
  inputsToSave: ['x'],
  gradFunc: (dyGiven, [x], attrs) => ({
    x: () => {
      const {begin, end, strides} = slice_util.sliceInfo(
        x!.shape,
        attrs.begin as number[],
        attrs.end as number[],
        attrs.strides as number[],
        attrs.beginMask as number,
        attrs.endMask as number,
        attrs.ellipsisMask as number,
        attrs.newAxisMask as number,
        attrs.shrinkAxisMask as number,
      );
      const sizes = slice_util.computeOutShape(begin, end, strides).map(size => Math.max(size, 0));
      const dy = reshape(dyGiven as Tensor, sizes);
      if (hasKernel('StridedSliceGrad')) {
        return runKernel('StridedSliceGrad', {dy}, {inputShape: x!.shape, begin, strides, sizes});
      }
      return sizes.reduce((partial, size, axis) => {
        const places = range(begin[axis]!, begin[axis]! + size * strides[axis]!, strides[axis]!, 'int32') as Tensor1D;
        const order = [axis, ...partial.shape.map((_, i) => i).filter(i => i !== axis)];
        const back = order.map((_, i) => order.indexOf(i));
        return transpose(unsortedSegmentSum(transpose(partial, order), places, x!.shape[axis]!), back);
      }, dy as Tensor);
    },
  }),
};
