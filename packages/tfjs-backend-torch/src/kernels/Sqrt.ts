// Elementwise sqrt.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Sqrt', 'sqrt');
