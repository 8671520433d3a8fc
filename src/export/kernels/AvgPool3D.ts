// AvgPool3D: AveragePool; padding is not counted.
import {pool} from '../families/pool.ts';

export const avgPool3D = pool('AvgPool3D', 'AveragePool', 3);
