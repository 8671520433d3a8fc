// Elementwise log1p.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Log1p', 'log1p');
