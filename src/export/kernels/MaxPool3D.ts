// MaxPool3D: MaxPool.
import {pool} from '../families/pool.ts';

export const maxPool3D = pool('MaxPool3D', 'MaxPool', 3);
