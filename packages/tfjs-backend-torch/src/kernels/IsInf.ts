// Elementwise test, bool.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('IsInf', 'isInf', 'bool');
