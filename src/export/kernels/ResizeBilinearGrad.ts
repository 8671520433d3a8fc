// ResizeBilinearGrad: the transpose of the resize, as two matrix products.
import {resizeGradient} from '../families/resize.ts';

export const resizeBilinearGrad = resizeGradient('ResizeBilinearGrad', 'linear');
