// Elementwise comparison or logic, bool.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Equal', 'equal', 'bool');
