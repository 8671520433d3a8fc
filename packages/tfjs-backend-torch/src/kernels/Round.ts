// To the nearest integer, halves to the even one.
import {unaryKernel} from './unary_kernel.ts';

export default unaryKernel('Round', 'round');
