// Elementwise exponential, float32 also of integers.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Exp', 'exp', 'float32');
