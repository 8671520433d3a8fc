// AvgPool: AveragePool; padding is not counted.
import {pool} from '../families/pool.ts';

export const avgPool = pool('AvgPool', 'AveragePool', 2);
