// Elementwise neg.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Neg', 'neg');
