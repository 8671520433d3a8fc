// All stages: a configuration's stage to its recipe.
import type {StageConfig} from '../src/config/schema.ts';
import {autoencoderRecipe} from './autoencoder.ts';
import {decoderRecipe} from './decoder.ts';
import {imageRecipe} from './image.ts';
import {interpolationRecipe} from './interpolation.ts';
import {predictionRecipe} from './prediction.ts';
import type {Recipe} from './recipe.ts';
import type {StageContext} from './stage_context.ts';
import {temporalRecipe} from './temporal.ts';
import {upsamplerRecipe} from './upsampler.ts';
import {upsamplerImageRecipe} from './upsampler_image.ts';

export async function recipeOf({config, ...rest}: StageContext<StageConfig>): Promise<Recipe> {
  switch (config.stage) {
    case 'autoencoder':
      return autoencoderRecipe({config, ...rest});
    case 'image':
      return imageRecipe({config, ...rest});
    case 'temporal':
      return temporalRecipe({config, ...rest});
    case 'decoder':
      return decoderRecipe({config, ...rest});
    case 'prediction':
      return predictionRecipe({config, ...rest});
    case 'interpolation':
      return interpolationRecipe({config, ...rest});
    case 'upsampler-image':
      return upsamplerImageRecipe({config, ...rest});
    case 'upsampler':
      return upsamplerRecipe({config, ...rest});
    default:
      return config satisfies never;
  }
}
