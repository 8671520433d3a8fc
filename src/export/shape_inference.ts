// The part of the exporter that others use: what shapes a kernel's outputs have.
export {Attributes, type AttributeValue} from './attributes.ts';
export {kernelSpecs} from './kernels/index.ts';
