// safetensors: the file format of weights, latents and checkpoints. Streaming, bounded, without TensorFlow.js.
export {
  openSafetensors,
  parseSafetensors,
  type SafetensorsFile,
  type TensorEntry,
  withSafetensors,
} from './safetensors_reader.ts';
export {
  encodeSafetensors,
  type TensorSource,
  type WriteOptions,
  type WriterFs,
  type WrittenFile,
  writeSafetensors,
} from './safetensors_writer.ts';
