// Conv3DBackpropFilterV2: a convolution of x by dy.
import {convFilterGradient} from '../families/convolution.ts';

export const conv3DBackpropFilterV2 = convFilterGradient('Conv3DBackpropFilterV2', 3);
