// Modulus of a complex64 tensor.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('ComplexAbs', 'complexAbs', 'float32');
