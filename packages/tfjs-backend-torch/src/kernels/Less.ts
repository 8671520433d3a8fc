// Comparison by order, bool.
import {orderKernel} from './binary_kernel.ts';

export default orderKernel('Less', 'less');
