// Elementwise relu6.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Relu6', 'relu6');
