// Conv2DBackpropInput: ConvTranspose.
import {convInputGradient} from '../families/convolution.ts';

export const conv2DBackpropInput = convInputGradient('Conv2DBackpropInput', 2);
