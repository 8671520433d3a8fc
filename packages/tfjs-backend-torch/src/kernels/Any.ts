// Whether any element over axes is true.
import {reduceKernel} from './reduce_kernel.ts';

export default reduceKernel('Any', 'any', () => 'bool');
