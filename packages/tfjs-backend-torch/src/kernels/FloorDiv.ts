// Quotient rounded down, int32.
import {binaryKernel} from './binary_kernel.ts';

export default binaryKernel('FloorDiv', 'floorDiv', 'int32');
