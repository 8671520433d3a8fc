// Remainder with the sign of the divisor.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('Mod', 'mod');
