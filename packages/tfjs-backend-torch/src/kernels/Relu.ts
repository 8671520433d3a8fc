// Elementwise relu.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Relu', 'relu');
