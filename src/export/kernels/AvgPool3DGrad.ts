// AvgPool3DGrad: dy spread over each window.
import {averagePoolGradient} from '../families/pool.ts';

export const avgPool3DGrad = averagePoolGradient('AvgPool3DGrad', 3);
