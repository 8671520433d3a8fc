// The smaller of two; NaN if either is.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Minimum', 'minimum');
