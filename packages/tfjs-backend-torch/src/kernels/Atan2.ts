// Angle of the vector (b, a).
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Atan2', 'atan2');
