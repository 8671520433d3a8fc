// a to the power b.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Pow', 'pow');
