// Elementwise sin.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Sin', 'sin');
