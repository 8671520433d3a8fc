// Elementwise log.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Log', 'log');
