// Elementwise atanh.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Atanh', 'atanh');
