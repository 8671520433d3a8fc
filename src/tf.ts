// The one door to TensorFlow.js: tf.* operations and gradients, plus the Layers API that the blocks extend.
// tfjs-core alone registers no gradients; importing tfjs-layers brings them.
export * from '@tensorflow/tfjs-core';
export {
  initializers,
  input,
  type LayersModel,
  LayerVariable,
  layers,
  model,
  SymbolicTensor,
} from '@tensorflow/tfjs-layers';
