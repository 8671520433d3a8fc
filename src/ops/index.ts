// Operations that TensorFlow.js lacks or does wastefully, each with its gradient: the vocabulary of src/layers and src/models.
import './cheap_gradients.ts';

export {type AdamWOptions, type AdamWSlot, adamWScalars, adamWStep} from './adamw.ts';
export {addPerSample} from './add_per_sample.ts';
export {alphaMix} from './alpha_mix.ts';
export {type AttentionOptions, attention} from './attention.ts';
export {type Conv2dOptions, conv2d, type Padding} from './conv2d.ts';
export {framesToPixels} from './frames_to_pixels.ts';
export {storeFrozen} from './frozen_storage.ts';
export {geglu} from './geglu.ts';
export {gelu} from './gelu.ts';
export {type GroupNormOptions, groupNorm} from './group_norm.ts';
export {adamWScalarNames} from './kernel_contracts.ts';
export {layerNorm} from './layer_norm.ts';
export {linear} from './linear.ts';
export {overwrite} from './overwrite.ts';
export {type DeviceRandomAt, philoxNormal} from './philox_normal.ts';
export {quickGelu} from './quick_gelu.ts';
export {silu} from './silu.ts';
export {type TemporalAttentionOptions, temporalAttention} from './temporal_attention.ts';
export {temporalConv} from './temporal_conv.ts';
export {upsampleNearest2x} from './upsample_nearest_2x.ts';
