// TensorFlow.js's convolution and pooling descriptions as the addon wants them: one number per spatial axis.
import type {backend_util} from '@tensorflow/tfjs-core';

export interface Windows {
  kernel: number[];
  stride: number[];
  dilation: number[];
  /** Padding in front. */
  before: number[];
  /** Size of the result. */
  out: number[];
  channelsLast: boolean;
}

export function windows2d(info: backend_util.Conv2DInfo): Windows {
  return {
    kernel: [info.filterHeight, info.filterWidth],
    stride: [info.strideHeight, info.strideWidth],
    dilation: [info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.top, info.padInfo.left],
    out: [info.outHeight, info.outWidth],
    channelsLast: info.dataFormat === 'channelsLast',
  };
}

export function windows3d(info: backend_util.Conv3DInfo): Windows {
  return {
    kernel: [info.filterDepth, info.filterHeight, info.filterWidth],
    stride: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilation: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    out: [info.outDepth, info.outHeight, info.outWidth],
    channelsLast: info.dataFormat === 'channelsLast',
  };
}

/** Windows of one pixel that give a result of the input's shape. */
export function isIdentity2d(info: backend_util.Conv2DInfo): boolean {
  return info.filterHeight === 1 && info.filterWidth === 1 && info.inShape.join() === info.outShape.join();
}
