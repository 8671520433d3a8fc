// Elementwise atan.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Atan', 'atan');
