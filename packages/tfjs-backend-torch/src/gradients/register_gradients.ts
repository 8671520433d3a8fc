// Gradients that TensorFlow.js lacks, or that it computes through host arrays. They serve every backend.
import {type GradConfig, registerGradient} from '@tensorflow/tfjs-core';
import {conv2dGradient, conv3dGradient, conv3dTransposeGradient} from './convolutions.ts';
import {depthToSpaceGradient} from './depth_to_space.ts';
import {einsumGradient} from './einsum.ts';
import {meanGradient, sumGradient} from './reductions.ts';
import {stridedSliceGradient} from './strided_slice.ts';

const gradients: readonly GradConfig[] = [
  sumGradient,
  meanGradient,
  einsumGradient,
  depthToSpaceGradient,
  stridedSliceGradient,
  conv2dGradient,
  conv3dGradient,
  conv3dTransposeGradient,
];

export function registerGradients(): void {
  for (const config of gradients) registerGradient(config);
}
