// Elementwise square.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Square', 'square');
