// Conv3D: Conv of three spatial dimensions.
import {convolution} from '../families/convolution.ts';

export const conv3D = convolution('Conv3D', {spatial: 3});
