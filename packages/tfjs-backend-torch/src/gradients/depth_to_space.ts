// DepthToSpace: its inverse, from the SpaceToDepth kernel or, on other backends, from a transposition.
import {type GradConfig, reshape, type Tensor, transpose} from '@tensorflow/tfjs-core';
import {hasKernel, runKernel} from './run_kernel.ts';

type Shape4 = [number, number, number, number];

export const depthToSpaceGradient: GradConfig = {
  kernelName: 'DepthToSpace',
  gradFunc: (dy, _, attrs) => ({
    x: () => {
      const x = dy as Tensor;
      if (hasKernel('SpaceToDepth')) return runKernel('SpaceToDepth', {x}, attrs);
      const block = attrs.blockSize as number;
      if (attrs.dataFormat === 'NHWC') {
        const [n, h, w, c] = x.shape as Shape4;
        const blocks = transpose(reshape(x, [n, h / block, block, w / block, block, c]), [0, 1, 3, 2, 4, 5]);
        return reshape(blocks, [n, h / block, w / block, block * block * c]);
      }
      const [n, c, h, w] = x.shape as Shape4;
      const blocks = transpose(reshape(x, [n, c, h / block, block, w / block, block]), [0, 3, 5, 1, 2, 4]);
      return reshape(blocks, [n, block * block * c, h / block, w / block]);
    },
  }),
};
