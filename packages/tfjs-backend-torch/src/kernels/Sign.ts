// -1, 0 or 1; 0 for NaN.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Sign', 'sign');
