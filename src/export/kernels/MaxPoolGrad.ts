// MaxPoolGrad: dy at the first maximum of each window.
import {maxPoolGradient} from '../families/pool.ts';

export const maxPoolGrad = maxPoolGradient('MaxPoolGrad', 2);
