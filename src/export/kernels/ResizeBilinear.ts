// ResizeBilinear: Resize in mode "linear".
import {resize} from '../families/resize.ts';

export const resizeBilinear = resize('ResizeBilinear', 'linear');
