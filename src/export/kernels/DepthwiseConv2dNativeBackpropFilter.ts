// DepthwiseConv2dNativeBackpropFilter: a convolution of x by dy, a group for each channel.
import {convFilterGradient} from '../families/convolution.ts';

export const depthwiseConv2dNativeBackpropFilter = convFilterGradient('DepthwiseConv2dNativeBackpropFilter', 2, true);
