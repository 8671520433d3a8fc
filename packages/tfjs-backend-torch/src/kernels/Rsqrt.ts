// Elementwise rsqrt.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Rsqrt', 'rsqrt');
