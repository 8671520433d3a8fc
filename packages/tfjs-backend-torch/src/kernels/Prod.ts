// Product over axes.
import {reduceKernel} from './reduce_kernel.ts';

export default reduceKernel('Prod', 'prod', dtype => (dtype === 'bool' ? 'int32' : dtype));
