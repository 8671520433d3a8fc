// Mean over axes.
import {reduceKernel} from './reduce_kernel.ts';

export default reduceKernel('Mean', 'mean', () => 'float32');
