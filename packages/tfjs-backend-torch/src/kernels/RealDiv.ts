// a / b.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('RealDiv', 'div');
