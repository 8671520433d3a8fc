// Elementwise cosh.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Cosh', 'cosh');
