// Elementwise absolute value; of complex64 tensors the kernel is ComplexAbs.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Abs', 'abs');
