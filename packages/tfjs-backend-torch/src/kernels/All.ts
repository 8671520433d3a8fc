// Whether all elements over axes are true.
import {reduceKernel} from './reduce_kernel.ts';

export default reduceKernel('All', 'all', () => 'bool');
