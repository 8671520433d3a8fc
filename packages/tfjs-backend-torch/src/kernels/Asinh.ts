// Elementwise asinh.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Asinh', 'asinh');
