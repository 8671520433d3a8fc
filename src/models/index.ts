// The models: networks built from configurations, and the representations they speak.
export {type AutoencoderConfig, AutoencoderKL, pixelSpace, type TemporalDecoderConfig} from './autoencoder.ts';
export {
  type ConditionArrays,
  type ConditionBox,
  type ConditionName,
  type Conditions,
  type ConditionsConfig,
  classCount,
  conditionArrays,
  conditionNames,
  contextTokens,
  type LabelConfig,
  type TokenizerConfig,
} from './condition_arrays.ts';
export {ConditionEncoder, type ConditionTensors, type EncodedConditions} from './conditions.ts';
export {PatchDiscriminator, VideoDiscriminator} from './discriminators.ts';
export {Lpips, lpipsPathOf} from './lpips.ts';
export {countParameters, countPart, type ParameterCount} from './parameters.ts';
export {autoencoderPresets, unetPresets, videoLdmTemporal} from './presets.ts';
export * from './representations.ts';
export {TextEncoder, type TextEncoderConfig, textEncoderPresets} from './text_encoder.ts';
export {Tokenizer, type TokenizerFiles, type TokenizerOptions} from './tokenizer.ts';
export {readTokenizer} from './tokenizer_files.ts';
export {repeatRows, UNet, type UNetInputs} from './unet.ts';
export {checkUNetConfig, headsAt, type TemporalConfig, type UNetConfig} from './unet_config.ts';
export {WordTokenizer} from './word_tokenizer.ts';
