// Elementwise sinh.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Sinh', 'sinh');
