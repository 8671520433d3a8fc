// Elementwise erf.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Erf', 'erf');
