// Engines: which TensorFlow.js backend computes.
export {runEachTime} from './capture.ts';
export {type Captured, CaptureRefused, type Engine, type EngineName, engineNames, type Precision} from './engine.ts';
export {alone, type Group, type GroupPlace} from './group.ts';
export {openEngine} from './open.ts';
export {packageVersion} from './package_version.ts';
export {type EngineRow, engineTable} from './table.ts';
export {valueAndGrads} from './value_and_grads.ts';
