// The adversary of the stages that train an autoencoder: one or two discriminators under the hinge loss, and the weight of
// their term (Esser et al. 2021, eqs. 6 and 7; latent-diffusion's contperceptual.py).
import type {z} from 'zod';
import type {adversarialSchema, imageDiscriminatorSchema, videoDiscriminatorSchema} from '../../src/config/losses.ts';
import type {CommonConfig} from '../../src/config/schema.ts';
import type {Block} from '../../src/layers/block.ts';
import {type AutoencoderKL, PatchDiscriminator, VideoDiscriminator} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';
import {type AdaptiveWeight, type Adversary, trainedWeights} from '../recipe.ts';

/** A network that tells real from made, under its name in files. */
export interface Discriminator {
  readonly name: string;
  readonly network: Block;
  /** Logits of pixels. */
  logits(pixels: tf.Tensor): tf.Tensor;
}

/** Of patches of frames. @throws UserError where they are too small for its layers. */
export function imageDiscriminator(
  options: z.infer<typeof imageDiscriminatorSchema>,
  {data, run}: Pick<CommonConfig, 'data' | 'run'>,
): Discriminator {
  const smallest = 3 * 2 ** options.layers;
  if (data.size.some(size => size < smallest))
    throw new UserError(
      `data.size [${data.size}] is too small for a discriminator of ${options.layers} layers, which needs ${smallest} pixels a side: lower its layers.`,
    );
  const network = new PatchDiscriminator(options).allocate(run.seed, 'image');
  const logits = (pixels: tf.Tensor) =>
    network.forward(tf.reshape(pixels, [-1, ...(pixels.shape.slice(-3) as [number, number, number])]));
  return {name: 'image', network, logits};
}

/** Of patches of clips, over time too. @throws UserError where their sizes do not halve as often as its layers do. */
export function videoDiscriminator(
  options: z.infer<typeof videoDiscriminatorSchema>,
  {data, run}: Pick<CommonConfig, 'data' | 'run'>,
): Discriminator {
  const {layers} = options;
  const temporalLayers = Math.min(layers, options.temporalLayers);
  const odd = data.size.find(size => size % 2 ** layers !== 0);
  if (odd !== undefined)
    throw new UserError(
      `data.size [${data.size}] holds ${odd}, which a video discriminator of ${layers} layers cannot halve as often: use a multiple of ${2 ** layers}, or lower its layers.`,
    );
  if (data.frames % 2 ** temporalLayers !== 0)
    throw new UserError(
      `data.frames is ${data.frames}, which a video discriminator cannot halve ${temporalLayers} times: use a multiple of ${2 ** temporalLayers}, or lower its temporalLayers.`,
    );
  const network = new VideoDiscriminator({...options, temporalLayers}).allocate(run.seed, 'video');
  return {name: 'video', network, logits: pixels => network.forward(pixels as tf.Tensor5D)};
}

/** What the adversary sees of the stage. */
export interface Opponent<Inputs> {
  readonly autoencoder: AutoencoderKL;
  /** Latents to decode: [N,h,w,C], or clips [B,T,h,w,C]. */
  latents(inputs: Inputs): tf.Tensor4D | tf.Tensor5D;
  /** The batch's pixels, a tensor of the inputs, of the shape that decoding gives. */
  truth(inputs: Inputs): tf.Tensor;
  reconstructionLoss(reconstruction: tf.Tensor, truth: tf.Tensor): tf.Scalar;
}

export interface Discriminators<Inputs extends tf.TensorContainer> {
  readonly adversary: Adversary<Inputs>;
  /** The term of the model's loss: minus the mean logit of what the model makes. */
  term(reconstruction: tf.Tensor): tf.Scalar;
  dispose(): void;
}

export function makeDiscriminators<Inputs extends tf.TensorContainer>(
  config: z.infer<typeof adversarialSchema>,
  discriminators: readonly Discriminator[],
  opponent: Opponent<Inputs>,
): Discriminators<Inputs> {
  const term = (reconstruction: tf.Tensor): tf.Scalar =>
    sum(discriminators.map(({logits}) => tf.neg(tf.mean(logits(reconstruction)))));
  return {
    term,
    adversary: {
      trained: discriminators.flatMap(({name, network}) =>
        trainedWeights(network).map(({spec, variable}) => ({spec: {...spec, path: `${name}.${spec.path}`}, variable})),
      ),
      optimizer: config.optimizer,
      startStep: config.startStep,
      weight: config.adaptive ? adaptiveWeight(opponent, term, config.weight) : config.weight,

      /** Hinge: (mean relu(1 - real) + mean relu(1 + made)) / 2. */
      loss(inputs) {
        const real = opponent.truth(inputs);
        const made = opponent.autoencoder.decode(opponent.latents(inputs));
        return sum(
          discriminators.map(({logits}) => {
            const missed = tf.mean(tf.relu(tf.sub(1, logits(real))));
            const fooled = tf.mean(tf.relu(tf.add(1, logits(made))));
            return tf.mul(tf.add(missed, fooled), 0.5);
          }),
        );
      },
    },
    dispose() {
      for (const {network} of discriminators) network.dispose();
    },
  };
}

/**
 * weight x |gradient of the reconstruction loss| / (|gradient of the term| + 1e-4), both with respect to the decoder's last
 * layer and of the whole step's batch, the ratio kept within [0, 1e4].
 */
function adaptiveWeight<Inputs extends tf.TensorContainer>(
  {autoencoder, latents, truth, reconstructionLoss}: Opponent<Inputs>,
  term: (reconstruction: tf.Tensor) => tf.Scalar,
  weight: number,
): AdaptiveWeight<Inputs> {
  return {
    /** Both gradients, [2, ...last layer]. */
    measure(inputs, engine) {
      const features = tf.tidy(() => autoencoder.decoderFeatures(latents(inputs)));
      const real = truth(inputs);
      const frames = real.rank === 5 ? real.shape[1] : undefined;
      const made = () => tf.reshape(autoencoder.decoderOutput(features, frames), real.shape);
      const gradientOf = (loss: () => tf.Scalar): tf.Tensor => {
        const {value, grads} = engine.valueAndGrads(loss, [autoencoder.lastLayer]);
        value.dispose();
        return grads[0]!;
      };
      const both = [gradientOf(() => reconstructionLoss(made(), real)), gradientOf(() => term(made()))];
      const stacked = tf.stack(both);
      tf.dispose([features, both]);
      return stacked;
    },

    from: gradients =>
      tf.tidy(() => {
        const [ofLoss, ofTerm] = tf.unstack(gradients);
        const norm = (gradient: tf.Tensor) => tf.sqrt(tf.sum(tf.square(gradient)));
        const ratio = tf.clipByValue(tf.div(norm(ofLoss!), tf.add(norm(ofTerm!), 1e-4)), 0, 1e4);
        return tf.mul(ratio, weight) as tf.Scalar;
      }),
  };
}

function sum(terms: tf.Tensor[]): tf.Scalar {
  return tf.addN(terms) as tf.Scalar;
}
