// ONNX export: any TensorFlow.js function, traced on a shape-only engine, written, and proved equal in onnxruntime.
export {
  type ComponentModel,
  type ComponentOptions,
  type ComponentSizes,
  componentFunction,
  type DynamicName,
  type ExportedComponent,
  exportComponent,
} from './component.ts';
export {kernelSpecs, refusedKernels} from './kernels/index.ts';
export {type WeightValues, weightsFrom} from './lazy_weights.ts';
export {
  ddimSteps,
  type ExportedPipeline,
  exportPipeline,
  type PipelineDescription,
  type PipelineOptions,
  type PipelineParts,
} from './pipeline.ts';
export type {TracedFunction} from './recorder.ts';
export {type DynamicDim, type OnnxInput, type OnnxModel, type OnnxOptions, toOnnx} from './to_onnx.ts';
export {relativeError, type Verification, type VerifyOptions, verifyOnnx} from './verify.ts';
export {encodeOnnx, type WriteOptions, type WrittenOnnx, writeOnnx} from './write.ts';
