// a + b.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Add', 'add');
