// MaxPool: MaxPool.
import {pool} from '../families/pool.ts';

export const maxPool = pool('MaxPool', 'MaxPool', 2);
