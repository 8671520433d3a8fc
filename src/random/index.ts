// Counter-based random numbers.
export {
  fillNormals,
  fillUniforms,
  integers,
  normals,
  permutation,
  philox4x32,
  type RandomAt,
  uniforms,
} from './philox.ts';
export {type StreamName, streamOf, streams} from './streams.ts';
