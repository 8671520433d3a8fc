// AvgPoolGrad: dy spread over each window.
import {averagePoolGradient} from '../families/pool.ts';

export const avgPoolGrad = averagePoolGradient('AvgPoolGrad', 2);
