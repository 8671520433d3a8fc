// DepthwiseConv2dNativeBackpropInput: ConvTranspose with one group for each channel.
import {convInputGradient} from '../families/convolution.ts';

export const depthwiseConv2dNativeBackpropInput = convInputGradient('DepthwiseConv2dNativeBackpropInput', 2, true);
