// Self-normalising exponential unit.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Selu', 'selu');
