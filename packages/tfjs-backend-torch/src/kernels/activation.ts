// The activations of TensorFlow.js's fused kernels as numbers; native/ops/activation.h has the same list.
import type {backend_util, TensorInfo} from '@tensorflow/tfjs-core';

const codes = {linear: 0, relu: 1, relu6: 2, elu: 3, prelu: 4, leakyrelu: 5, sigmoid: 6} as const satisfies Record<
  backend_util.Activation,
  number
>;

export function activationCode(activation: backend_util.Activation | undefined | null): number {
  const code = codes[activation ?? 'linear'];
  if (code === undefined)
    throw new Error(`Activation ${activation} has not been implemented; known are ${Object.keys(codes)}.`);
  return code;
}

/** A vector of one alpha per channel, in a shape that broadcasts where channels come first. */
export function channelwise(alphas: TensorInfo | undefined | null, channelsLast: boolean): TensorInfo | undefined {
  if (!alphas) return undefined;
  if (channelsLast || alphas.shape.length !== 1 || alphas.shape[0] === 1) return alphas;
  return {...alphas, shape: [alphas.shape[0]!, 1, 1]};
}
