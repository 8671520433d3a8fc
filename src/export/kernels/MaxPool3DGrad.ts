// MaxPool3DGrad: dy at the first maximum of each window.
import {maxPoolGradient} from '../families/pool.ts';

export const maxPool3DGrad = maxPoolGradient('MaxPool3DGrad', 3);
