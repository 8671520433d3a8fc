// Elementwise tan.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Tan', 'tan');
