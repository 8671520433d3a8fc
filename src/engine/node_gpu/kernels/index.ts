// The kernels that a training step needs and tfjs-node lacks or does wrongly.
import {supplyConv2D} from './conv2d.ts';

/** Registers them for the `tensorflow` backend; once per process. */
export function supplyKernels(): void {
  supplyConv2D();
}
