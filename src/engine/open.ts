// Choosing an engine: the one asked for, or the first that works.
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {runEachTime} from './capture.ts';
import {openCpu} from './cpu.ts';
import {type Engine, type EngineName, engineNames, type OpenedBackend, type Precision} from './engine.ts';
import {alone, type GroupPlace} from './group.ts';
import {openNodeGpu} from './node_gpu/index.ts';
import {quietTensorflow} from './quiet.ts';
import {openTorch} from './torch.ts';
import {valueAndGrads} from './value_and_grads.ts';
import {openWasm} from './wasm/index.ts';

const openers = {
  torch: openTorch,
  'node-gpu': async () => {
    const {device, describe} = await openNodeGpu();
    return {device, threads: Number(describe.threads ?? 1), describe};
  },
  wasm: openWasm,
  cpu: openCpu,
} satisfies Record<EngineName, (precision: Precision, place?: GroupPlace) => Promise<OpenedBackend>>;

/**
 * Makes an engine TensorFlow.js's current backend. 'auto' takes the first of torch, node-gpu, wasm, cpu that works and says
 * why it passed over the ones before it; an engine asked for by name is opened or the reason is thrown. With a place in a
 * larger world than its own it has joined the other ranks when it is returned; the caller closes `group`.
 * @throws UserError when it is not available, has not the precision asked for, or cannot train in several processes.
 */
export async function openEngine(
  choice: EngineName | 'auto',
  {precision = 'fp32', place}: {precision?: Precision; place?: GroupPlace} = {},
): Promise<Engine> {
  quietTensorflow();
  const passedOver: Engine['passedOver'] = [];
  for (const name of choice === 'auto' ? engineNames : [choice]) {
    try {
      if (precision !== 'fp32' && name !== 'torch') {
        throw new UserError(`The ${name} engine computes in fp32 only: precision ${precision} needs the torch engine.`);
      }
      if (place && place.worldSize > 1 && name !== 'torch') {
        throw new UserError(
          `The ${name} engine trains in one process: a group of ${place.worldSize} needs the torch engine.`,
        );
      }
      return engineOf(name, await openers[name](precision, place), passedOver);
    } catch (error) {
      if (!(error instanceof UserError) || choice !== 'auto') throw error;
      passedOver.push({engine: name, why: error.message});
    }
  }
  const reasons = passedOver.map(({engine, why}) => `${engine}: ${why}`).join(' ');
  throw new UserError(`No engine works on this machine. ${reasons}`);
}

function engineOf(name: EngineName, opened: OpenedBackend, passedOver: Engine['passedOver']): Engine {
  const {
    device,
    threads,
    precision = 'fp32',
    recomputeFrom = Number.POSITIVE_INFINITY,
    describe,
    group = alone,
  } = opened;
  const world: Record<string, number> = group.worldSize > 1 ? {worldSize: group.worldSize} : {};
  return {
    name,
    device,
    precision,
    threads,
    passedOver,
    recomputeFrom,
    valueAndGrads: (loss, variables) => valueAndGrads(loss, variables, {recomputeFrom}),
    capture: opened.capture ?? runEachTime,
    giveBack: opened.giveBack ?? (() => undefined),
    group,
    memory: () => ({tensors: tf.memory().numTensors, bytes: tf.memory().numBytes}),
    describe: () => ({engine: name, device, precision, threads, ...describe, ...world}),
  };
}
