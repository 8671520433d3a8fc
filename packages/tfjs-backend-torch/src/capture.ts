// `capture`: one training step as a unit of work. On CUDA it becomes a graph that is replayed with one call; on the CPU the
// function runs each time, and what a graph could not hold is refused all the same, so that a step proven on the CPU can be
// captured.
import {dispose, engine, type Tensor, type TensorContainer, Variable} from '@tensorflow/tfjs-core';
import {native} from './binding.ts';
import {type Captured, CaptureRefused, captured, type Recorder} from './captured.ts';
import type {TorchBackend, TorchData} from './torch_backend.ts';

interface Capturing {
  /** The first calls may upload what the step keeps: constants, tables. */
  warmingUp: boolean;
  /** What the graph reads that was there before it; undefined while nothing is recorded. */
  reads: Set<TorchData> | undefined;
}
let capturing: Capturing | undefined;

/** Refuses what a captured step may not do, by name. */
export function refuseUnderCapture(
  what: string,
  kind: 'read' | 'upload' | 'host kernel' | 'exchange with other processes',
): void {
  if (!capturing || (kind === 'upload' && capturing.warmingUp)) return;
  throw new CaptureRefused(
    `${what} is not possible inside a captured step: it makes no ${kind}. Do it before or after the step, or make it an input.`,
  );
}

/** Called for every tensor that a kernel reads: a graph has its address. */
export function noteRead(data: TorchData): void {
  capturing?.reads?.add(data);
}

const backend = (): TorchBackend => engine().backend as TorchBackend;

const {assign} = Variable.prototype;

/** Gives a variable other storage, which only what runs before the recording may do. */
export function moveVariable(variable: Variable, value: Tensor): void {
  if (capturing?.reads)
    throw new CaptureRefused(`${variable.name} shares its values with another tensor and cannot be written in place.`);
  assign.call(variable, value);
}

/** Runs `step` with reads, uploads, host kernels and replaced variables refused. */
function guarded<T>(step: () => T, warmingUp: boolean): T {
  if (capturing) throw new CaptureRefused('A captured step cannot run inside another.');
  Variable.prototype.assign = function (this: Variable) {
    throw new CaptureRefused(
      `Variable.assign of ${this.name} is not possible inside a captured step: it would move the variable to other storage. Write in place, as AdamWStep does.`,
    );
  };
  capturing = {warmingUp, reads: undefined};
  try {
    return step();
  } finally {
    capturing = undefined;
    Variable.prototype.assign = assign;
  }
}

/** All graphs of a process share one memory pool: they never run at the same time. */
const cudaGraphs: NonNullable<Recorder['graphs']> = {
  record(step) {
    const addon = native();
    addon.finishReads();
    // What the warm-up left for reuse cannot be given back while recording, and the graph has memory of its own.
    addon.emptyCache(0);
    const reads = new Set<TorchData>();
    const before = new Set(backend().liveData());
    addon.graphBegin();
    let recorded = false;
    let result: ReturnType<typeof step> | undefined;
    try {
      if (capturing) capturing.reads = reads;
      result = step();
      const id = addon.graphEnd();
      recorded = true;
      const inputs = [...reads].filter(data => before.has(data));
      return {
        result,
        graph: {
          replay() {
            for (const {owner, dtype, shape} of inputs) {
              if (owner === undefined) {
                throw new Error(
                  `A captured step reads ${dtype}[${shape}], which was disposed of or moved since: capture it anew.`,
                );
              }
            }
            addon.finishReads();
            addon.graphReplay(id);
          },
          release: () => addon.graphRelease(id),
        },
      };
    } catch (error) {
      throw error instanceof CaptureRefused ? error : new CaptureRefused((error as Error).message, {cause: error});
    } finally {
      if (!recorded) {
        addon.graphAbort();
        if (result) dispose(result);
      }
    }
  },
  copyOf: tensor => {
    return engine().makeTensorFromTensorInfo(backend().copyOf(tensor)) as Tensor;
  },
  overwrite: (target, source) => backend().overwrite(target, source),
};

/**
 * `step` as a captured step of this backend: a function of its input tensors that returns tensors and changes what it trains
 * in place. Inside it, reads of tensors, uploads of more than one element (from the second call on), kernels that run on the host, Variable.assign, and
 * inputs of another shape than the first call's are errors that say what it was. Numbers that change from step to step
 * (learning rate, step count, a counter for random numbers) are inputs.
 */
export function capture<I extends TensorContainer, O extends TensorContainer>(step: (inputs: I) => O): Captured<I, O> {
  const graphs = native().device().startsWith('cuda') ? cudaGraphs : undefined;
  return captured(step, graphs ? {warmUp: 3, guarded, graphs} : {warmUp: 1, guarded});
}
