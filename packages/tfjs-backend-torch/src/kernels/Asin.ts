// Elementwise asin.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Asin', 'asin');
