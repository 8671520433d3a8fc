// The scale factor of latents, where neither the parent nor its autoencoder says one.
import {batches} from '../../datasets/index.ts';
import type {CommonConfig} from '../../src/config/schema.ts';
import type {AutoencoderConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {trainingData} from '../inputs/data.ts';
import {encodeBatch} from '../inputs/latents.ts';
import {buildAutoencoder} from './frozen.ts';
import type {HostModel} from './parts.ts';

const MEASURED_BATCHES = 4;

/** 1 / standard deviation of the latents of the first batches (latent-diffusion's scale_by_std). */
export async function measureScaleFactor(
  config: Pick<CommonConfig, 'data' | 'run' | 'stage'>,
  autoencoder: HostModel<AutoencoderConfig>,
  from: string,
): Promise<number> {
  const model = buildAutoencoder({autoencoder});
  const data = batches(trainingData(config, {autoencoder}), {seed: config.run.seed});
  let [count, sum, squares] = [0, 0, 0];
  for (let i = 0; i < MEASURED_BATCHES; i++) {
    const next = await data.next();
    if (next.done) break;
    const latents = encodeBatch(model, 1, next.value);
    for (const value of await latents.data()) {
      count += 1;
      sum += value;
      squares += value * value;
    }
    latents.dispose();
  }
  await data.return(undefined);
  model.dispose();
  const deviation = Math.sqrt(squares / count - (sum / count) ** 2);
  if (!(deviation > 0))
    throw new UserError(
      `The autoencoder of ${from} gives constant latents (standard deviation ${deviation}): train it longer, or set autoencoder.scaleFactor.`,
    );
  return Math.fround(1 / deviation);
}
