// x above 0, exp(x) - 1 below.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Elu', 'elu');
