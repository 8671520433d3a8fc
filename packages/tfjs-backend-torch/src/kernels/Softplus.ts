// Elementwise softplus.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Softplus', 'softplus');
