// a - b.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Sub', 'sub');
