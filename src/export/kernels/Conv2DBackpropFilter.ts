// Conv2DBackpropFilter: a convolution of x by dy.
import {convFilterGradient} from '../families/convolution.ts';

export const conv2DBackpropFilter = convFilterGradient('Conv2DBackpropFilter', 2);
