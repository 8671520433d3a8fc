// The larger of two; NaN if either is.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Maximum', 'maximum');
