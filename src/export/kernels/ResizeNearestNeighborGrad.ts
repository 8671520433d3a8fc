// ResizeNearestNeighborGrad: the transpose of the resize, as two matrix products.
import {resizeGradient} from '../families/resize.ts';

export const resizeNearestNeighborGrad = resizeGradient('ResizeNearestNeighborGrad', 'nearest');
