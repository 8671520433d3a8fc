// Sum and Mean: TensorFlow.js's own gradients upload ones of the input's shape from the host; these spread dy on the device.
import {type GradConfig, mul, reshape, type Tensor, tile, util} from '@tensorflow/tfjs-core';

type Axes = number | number[];

function spread(dy: Tensor, shape: number[], axis: Axes): Tensor {
  const axes = util.parseAxisParam(axis, shape);
  const kept = shape.map((extent, i) => (axes.includes(i) ? 1 : extent));
  return tile(
    reshape(dy, kept),
    shape.map((extent, i) => (axes.includes(i) ? extent : 1)),
  );
}

export const sumGradient: GradConfig = {
  kernelName: 'Sum',
  inputsToSave: ['x'],
  gradFunc: (dy, [x], attrs) => ({x: () => spread(dy as Tensor, x!.shape, attrs.axis as Axes)}),
};

export const meanGradient: GradConfig = {
  kernelName: 'Mean',
  inputsToSave: ['x'],
  gradFunc: (dy, [x], attrs) => ({
    x: () => spread(mul(dy as Tensor, (dy as Tensor).size / x!.size), x!.shape, attrs.axis as Axes),
  }),
};
