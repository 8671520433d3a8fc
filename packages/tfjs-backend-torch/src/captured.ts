// A step as one unit of work: the part of `capture` that is the same on every backend. It loads no native code.
import {dispose, keep, Tensor, type TensorContainer, tidy} from '@tensorflow/tfjs-core';

/** What a step does that no graph can hold, by name. Other errors of the step are not of this kind. */
export class CaptureRefused extends Error {
  override name = 'CaptureRefused';
}

/**
 * A captured step. Its outputs are the step's own, and the caller does not dispose of them. They hold their values until the
 * next call of this or another captured step: graphs use the same memory one after another.
 */
export interface Captured<I extends TensorContainer, O extends TensorContainer> {
  (inputs: I): O;
  /** Frees the outputs and, on CUDA, the graph and its static inputs. */
  dispose(): void;
}

/** How a backend records what it is told to do. */
export interface Recorder {
  /** Calls that run the step before it is recorded: they choose algorithms, make constants and allocate workspaces. */
  warmUp: number;
  /** Runs `step` and refuses, by name, what could not be recorded; while warming up, uploads are allowed. */
  guarded<T>(step: () => T, warmingUp: boolean): T;
  /** Absent: every call runs the step. */
  graphs?: {
    /** Tells the device what `step` does without doing it. */
    record<T extends TensorContainer>(step: () => T): {result: T; graph: Graph};
    /** A copy whose storage stays where it is. */
    copyOf(tensor: Tensor): Tensor;
    /** Overwrites the values of `target`. */
    overwrite(target: Tensor, source: Tensor): void;
  };
}
export interface Graph {
  replay(): void;
  release(): void;
}

/** Leaves of a container by their path; objects and arrays are walked. */
function leavesOf(container: unknown, path = ''): [path: string, leaf: unknown][] {
  if (container === null || typeof container !== 'object' || container instanceof Tensor) return [[path, container]];
  return Object.entries(container).flatMap(([key, value]) => leavesOf(value, path ? `${path}.${key}` : key));
}
function mapTensors<C>(container: C, change: (tensor: Tensor) => Tensor): C {
  const walk = (value: unknown): unknown => {
    if (value instanceof Tensor) return change(value);
    if (Array.isArray(value)) return value.map(walk);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item)]));
  };
  return walk(container) as C;
}
const describe = (leaf: unknown) => (leaf instanceof Tensor ? `${leaf.dtype}[${leaf.shape}]` : String(leaf));

/** @throws CaptureRefused naming the input whose shape, type or (where it is not a tensor) value is not that of the first call. */
function refuseChange(first: [string, string][], inputs: unknown): void {
  const now = leavesOf(inputs);
  for (let i = 0; i < Math.max(first.length, now.length); i++) {
    const [path, was] = first[i] ?? [now[i]![0], 'absent'];
    const is = now[i]?.[0] === path ? describe(now[i]![1]) : 'absent';
    if (is !== was) {
      throw new CaptureRefused(
        `A captured step was first called with ${path} ${was}, now with ${is}: capture the step anew for each shape and kind of input.`,
      );
    }
  }
}

/**
 * `step` as one unit of work. It is a function of its input tensors, and writes in place what it changes: numbers it takes
 * from elsewhere are those of the first calls.
 */
export function captured<I extends TensorContainer, O extends TensorContainer>(
  step: (inputs: I) => O,
  recorder: Recorder,
): Captured<I, O> {
  let first: [string, string][] | undefined;
  let [calls, ended] = [0, false];
  let inputsHeld: I | undefined;
  let outputs: O | undefined;
  let graph: Graph | undefined;
  const runEagerly = (inputs: I, warmingUp: boolean) => {
    const fresh = recorder.guarded(() => kept(() => step(inputs)), warmingUp);
    dispose(outputs);
    outputs = fresh;
    return fresh;
  };
  const run = (inputs: I): O => {
    if (ended) throw new Error('This captured step was disposed of.');
    first ??= leavesOf(inputs).map(([path, leaf]) => [path, describe(leaf)]);
    refuseChange(first, inputs);
    const {graphs, warmUp} = recorder;
    const warmingUp = calls++ < warmUp;
    if (!graphs) return runEagerly(inputs, warmingUp);
    const held = inputsHeld ?? mapTensors(inputs, tensor => keep(graphs.copyOf(tensor)));
    const [targets, sources] = [tensorsOf(held), tensorsOf(inputs)];
    if (inputsHeld) for (const [i, target] of targets.entries()) graphs.overwrite(target, sources[i]!);
    inputsHeld = held;
    if (warmingUp) return runEagerly(held, true);
    if (!graph || !outputs) {
      const recorded = recorder.guarded(() => graphs.record(() => kept(() => step(held))), false);
      dispose(outputs);
      outputs = recorded.result;
      graph = recorded.graph;
    }
    graph.replay();
    return outputs;
  };
  return Object.assign(run, {
    dispose: () => {
      ended = true;
      graph?.release();
      dispose([outputs, inputsHeld]);
      graph = outputs = inputsHeld = undefined;
    },
  });
}

/** Outputs outlive every tidy around the call. One that is an input or a variable is copied by reference. */
function kept<O extends TensorContainer>(step: () => O): O {
  return tidy(() => mapTensors(step(), tensor => keep(tensor.clone())));
}
function tensorsOf(container: unknown): Tensor[] {
  return leavesOf(container).flatMap(([, leaf]) => (leaf instanceof Tensor ? [leaf] : []));
}
