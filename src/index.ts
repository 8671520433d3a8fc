// The library: models, layers, diffusion, engines, weights. Training is in 'video-ldm/trainers', data in
// 'video-ldm/datasets', checkpoints in 'video-ldm/checkpoints'.
export * from './diffusion/index.ts';
export {type Engine, type EngineName, type EngineRow, engineTable, openEngine, type Precision} from './engine/index.ts';
export * from './export/index.ts';
export {Block, type WeightLayout, type WeightPart, type WeightSpec} from './layers/block.ts';
export * from './models/index.ts';
export * as ops from './ops/index.ts';
export {UserError} from './platform/user_error.ts';
export {integers, normals, permutation, type RandomAt, type StreamName, uniforms} from './random/index.ts';
export * from './sampling/index.ts';
export * as tf from './tf.ts';
