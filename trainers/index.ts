// Training: one recipe per stage, one shared loop.
export {type EncodeOptions, type EncodeReport, encodeShards} from './encode/encode.ts';
export {type ExportRunOptions, exportRun} from './export_run.ts';
export {type LoadedRun, loadRun} from './parents/load_run.ts';
export {placeFromEnvironment} from './ranks/place.ts';
export type {Recipe, StepPlace, TrainedWeight} from './recipe.ts';
export {type SampleRunOptions, sampleRun} from './sampling/sample.ts';
export {type TrainOptions, type TrainResult, train} from './train.ts';
