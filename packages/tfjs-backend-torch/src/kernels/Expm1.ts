// Elementwise expm1.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Expm1', 'expm1');
