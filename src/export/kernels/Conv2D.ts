// Conv2D: Conv, channels first.
import {convolution} from '../families/convolution.ts';

export const conv2D = convolution('Conv2D', {spatial: 2});
