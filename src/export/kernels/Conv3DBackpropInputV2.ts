// Conv3DBackpropInputV2: ConvTranspose of three spatial dimensions.
import {convInputGradient} from '../families/convolution.ts';

export const conv3DBackpropInputV2 = convInputGradient('Conv3DBackpropInputV2', 3);
