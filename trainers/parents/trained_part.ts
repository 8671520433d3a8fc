// Which weights of its network a stage trains; the others have no gradient and no optimiser slot.
import type {StageConfig} from '../../src/config/schema.ts';
import type {WeightSpec} from '../../src/layers/block.ts';

export function trainedPart(config: StageConfig): (spec: WeightSpec) => boolean {
  switch (config.stage) {
    case 'autoencoder':
    case 'image':
    case 'interpolation':
    case 'upsampler-image':
      return () => true;
    case 'temporal':
      return config.trains === 'all' ? () => true : isTemporal;
    case 'prediction':
    case 'upsampler':
      return isTemporal;
    case 'decoder':
      return config.trains === 'temporal' ? isTemporal : isDecoders;
    default:
      return config satisfies never;
  }
}

const isTemporal = ({part}: WeightSpec): boolean => part === 'temporal';
const isDecoders = ({path}: WeightSpec): boolean => /^(decoder|post_quant_conv)\./.test(path);
