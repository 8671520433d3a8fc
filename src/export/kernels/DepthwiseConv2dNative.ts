// DepthwiseConv2dNative: Conv with one group for each channel.
import {convolution} from '../families/convolution.ts';

export const depthwiseConv2dNative = convolution('DepthwiseConv2dNative', {spatial: 2, depthwise: true});
