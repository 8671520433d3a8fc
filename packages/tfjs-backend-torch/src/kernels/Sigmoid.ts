// Elementwise sigmoid.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Sigmoid', 'sigmoid');
