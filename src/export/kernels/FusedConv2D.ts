// FusedConv2D: Conv with its bias, then the activation.
import {convolution} from '../families/convolution.ts';

export const fusedConv2D = convolution('FusedConv2D', {spatial: 2, fused: true});
