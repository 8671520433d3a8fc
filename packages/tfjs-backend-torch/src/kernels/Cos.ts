// Elementwise cos.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Cos', 'cos');
