// Elementwise floor.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Floor', 'floor');
