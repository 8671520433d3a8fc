// Elementwise acosh.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Acosh', 'acosh');
