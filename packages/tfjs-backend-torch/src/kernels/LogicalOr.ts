// Elementwise comparison or logic, bool.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('LogicalOr', 'logicalOr', 'bool');
