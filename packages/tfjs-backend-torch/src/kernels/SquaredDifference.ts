// (a - b)^2.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('SquaredDifference', 'squaredDifference');
