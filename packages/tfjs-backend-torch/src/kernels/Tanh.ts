// Elementwise tanh.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Tanh', 'tanh');
