// Elementwise ceil.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Ceil', 'ceil');
