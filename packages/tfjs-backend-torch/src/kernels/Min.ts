// Smallest element over axes.
import {reduceKernel} from './reduce_kernel.ts';

export default reduceKernel('Min', 'min', dtype => dtype);
