// FusedDepthwiseConv2D: Conv with one group for each channel, bias, activation.
import {convolution} from '../families/convolution.ts';

export const fusedDepthwiseConv2D = convolution('FusedDepthwiseConv2D', {spatial: 2, depthwise: true, fused: true});
