// Largest element over axes.
import {reduceKernel} from './reduce_kernel.ts';

export default reduceKernel('Max', 'max', dtype => dtype);
