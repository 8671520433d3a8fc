// Elementwise acos.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Acos', 'acos');
