// ResizeNearestNeighbor: Resize in mode "nearest".
import {resize} from '../families/resize.ts';

export const resizeNearestNeighbor = resize('ResizeNearestNeighbor', 'nearest');
