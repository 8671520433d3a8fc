// Reverse-mode differentiation over TensorFlow.js's tape, with less work than tf.variableGrads and the same numbers: only what
// depends on a trained variable is recorded and saved, gradients and saved tensors are freed as the walk passes them, and a
// gradient of several outputs is computed once and for the inputs that need it. Where memory is dear, cheap outputs are
// computed again instead of being saved.
import {type GradientSoFar, withNeeded, withTracked} from '../ops/needed.ts';
import {type Recomputation, recomputation} from '../ops/recompute.ts';
import {leanGradient, savedFor} from '../ops/tape.ts';
import {type EngineInternals, engineInternals, type TapeNode} from '../ops/tfjs_internals.ts';
import * as tf from '../tf.ts';

export interface ValueAndGradsOptions {
  /**
   * Cheap outputs (of the operations of src/ops that say so, by fused kernels) of so many elements or more are computed again: less
   * memory, some time. Absent: none.
   */
  recomputeFrom?: number;
}

export function valueAndGrads(
  loss: () => tf.Scalar,
  variables: tf.Variable[],
  {recomputeFrom}: ValueAndGradsOptions = {},
): {value: tf.Scalar; grads: tf.Tensor[]} {
  const engine = engineInternals();
  if (engine.state.gradientDepth > 0) throw new Error('valueAndGrads cannot be nested in another gradient.');
  try {
    const tracked = new Set<number>(variables.map(variable => variable.id));
    const recomputed = recomputeFrom === undefined ? undefined : recomputation(engine, shared, recomputeFrom);
    const value = record(engine, tracked, loss, recomputed);
    const tape = engine.state.activeTape ?? [];
    return tf.tidy(() => ({value, grads: backpropagate(tape, tracked, value, variables, recomputed)}));
  } finally {
    for (const node of engine.state.activeTape ?? []) tf.dispose(node.saved);
    engine.state.activeTape = null;
  }
}

/** Runs the loss with the tape on; `tracked` grows by the tensors that depend on the variables. */
function record(
  engine: EngineInternals,
  tracked: Set<number>,
  loss: () => tf.Scalar,
  recomputed: Recomputation | undefined,
): tf.Scalar {
  const isLive = (inputs: TapeNode['inputs']) => {
    for (const name in inputs) if (tracked.has(inputs[name]?.id ?? -1)) return true;
    return false;
  };
  // A gradient taken inside the loss (a penalty on it) differentiates by tensors that need not be tracked: record all of it.
  const nested = () => engine.state.gradientDepth > 1;
  const {addTapeNode, getTensorsForGradient, clone} = engine;
  engine.clone = x =>
    nested() || x.dtype === 'complex64' || x.dtype === 'string'
      ? clone.call(engine, x)
      : (recomputed?.standIn(x) ?? shared(engine, x));
  const all: typeof getTensorsForGradient = (...of) => getTensorsForGradient.call(engine, ...of);
  const least = savedFor(all);
  engine.getTensorsForGradient = (kernelName, inputs, outputs) =>
    nested() || isLive(inputs) ? least(kernelName, inputs, outputs) : [];
  engine.addTapeNode = (kernelName, inputs, outputs, gradient, saved, attrs) => {
    const live = isLive(inputs);
    if (!live && !nested()) {
      tf.dispose(saved);
      return;
    }
    addTapeNode.call(engine, kernelName, inputs, outputs, gradient, saved, attrs);
    if (live) for (const output of outputs) tracked.add(output.id);
    const node = engine.state.activeTape!.at(-1)!;
    leanGradient(node, attrs, all);
    recomputed?.note(node, attrs);
  };
  engine.startTape();
  try {
    return withTracked(tracked, () => tf.tidy('forward', loss));
  } finally {
    engine.endTape();
    engine.addTapeNode = addTapeNode;
    engine.getTensorsForGradient = getTensorsForGradient;
    engine.clone = clone;
  }
}

/** x's data under a tensor of its own: what is saved is not differentiated, so it needs neither a kernel nor the tape. */
function shared(engine: EngineInternals, {dataId, shape, dtype}: tf.TensorInfo): tf.Tensor {
  engine.backend.incRef(dataId);
  return engine.makeTensorFromTensorInfo({dataId, shape, dtype});
}

function backpropagate(
  tape: TapeNode[],
  tracked: ReadonlySet<number>,
  value: tf.Scalar,
  variables: tf.Variable[],
  recomputed: Recomputation | undefined,
): tf.Tensor[] {
  if (!(value instanceof tf.Tensor) || value.size !== 1) throw new Error('The loss must be a tensor of one element.');
  if (!tracked.has(value.id)) throw new Error('The loss does not depend on any of the variables.');
  const grads = new Map<number, tf.Tensor>([[value.id, tf.reshape(tf.scalar(1), value.shape)]]);
  for (let node = tape.pop(); node !== undefined; node = tape.pop()) {
    const dys = node.outputs.map(output => grads.get(output.id));
    if (dys.some(dy => dy !== undefined)) {
      recomputed?.restore(node);
      const sum = grads.get(node.inputs[0]?.id ?? -1);
      const soFar = sum && {sum, taken: false};
      const contributions = differentiate(node, dys, tracked, soFar);
      if (soFar?.taken) grads.delete(node.inputs[0]!.id);
      accumulate(grads, contributions);
      if (soFar?.taken) soFar.sum.dispose();
    }
    for (const output of node.outputs) {
      grads.get(output.id)?.dispose();
      grads.delete(output.id);
    }
    tf.dispose(node.saved);
    recomputed?.release(node);
  }
  return variables.map(variable => grads.get(variable.id) ?? tf.fill(variable.shape, 0));
}

interface Contribution {
  input: tf.Tensor;
  gradient: tf.Tensor;
}

/** The gradients of a node's tracked inputs, each a tensor of its own. */
function differentiate(
  node: TapeNode,
  dys: (tf.Tensor | undefined)[],
  tracked: ReadonlySet<number>,
  soFar: GradientSoFar | undefined,
): Contribution[] {
  const names = Object.keys(node.inputs).filter(name => tracked.has(node.inputs[name]?.id ?? -1));
  if (node.gradient === undefined) throw new Error(`The operation ${node.kernelName} has no gradient.`);
  return tf.tidy(() => {
    const thunks = withNeeded(new Set(names), () => node.gradient!(dys));
    const taken = new Set<tf.Tensor | undefined>(dys);
    return names.map(name => {
      const input = node.inputs[name]!;
      const thunk = thunks[name];
      if (thunk === undefined)
        throw new Error(`The operation ${node.kernelName} has no gradient for its input ${name}.`);
      let gradient = withNeeded(new Set(names), thunk, soFar);
      if (!tf.util.arraysEqual(gradient.shape, input.shape)) {
        throw new Error(`The gradient of ${node.kernelName} for ${name} is [${gradient.shape}], not [${input.shape}].`);
      }
      if (taken.has(gradient)) gradient = tf.clone(gradient);
      taken.add(gradient);
      return {input, gradient};
    });
  });
}

function accumulate(grads: Map<number, tf.Tensor>, contributions: Contribution[]): void {
  for (const {input, gradient} of contributions) {
    const sum = grads.get(input.id);
    grads.set(input.id, sum === undefined ? gradient : tf.add(sum, gradient));
    if (sum !== undefined) tf.dispose([sum, gradient]);
  }
}
