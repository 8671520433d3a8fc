// Sum over axes.
import {reduceKernel} from './reduce_kernel.ts';

export default reduceKernel('Sum', 'sum', dtype => (dtype === 'bool' ? 'int32' : dtype));
