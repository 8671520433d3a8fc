// Bitwise and of integers.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('BitwiseAnd', 'bitwiseAnd');
