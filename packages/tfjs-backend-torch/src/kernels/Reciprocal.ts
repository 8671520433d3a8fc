// Elementwise reciprocal.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Reciprocal', 'reciprocal');
