// What this project changes of TensorFlow.js's tape as it is recorded.
import * as tf from '../tf.ts';
import {fusedKernels} from './kernel_contracts.ts';
import type {EngineInternals, TapeNode} from './tfjs_internals.ts';

/**
 * Kernels whose gradients read nothing of their inputs but the shapes, which a tensor still says when it has been disposed of.
 * TensorFlow.js saves the inputs whole: both sides of every residual sum would be held until the backward pass.
 */
const readShapesAlone: ReadonlySet<string> = new Set([
  tf.Add,
  tf.AddN,
  tf.Concat,
  tf.ExpandDims,
  tf.Mean,
  tf.Pack,
  tf.PadV2,
  tf.Reshape,
  tf.Slice,
  tf.Sub,
  tf.Sum,
]);

type ToSave = EngineInternals['getTensorsForGradient'];

/** What is kept of an operation for its gradient. `all`: what TensorFlow.js keeps. */
export function savedFor(all: ToSave): ToSave {
  return (kernelName, inputs, outputs) => (readShapesAlone.has(kernelName) ? [] : all(kernelName, inputs, outputs));
}

/** Makes the newest node's gradient do without what `savedFor` left out, and without zeros for outputs that have no dy. */
export function leanGradient(node: TapeNode, attrs: unknown, all: ToSave): void {
  const {kernelName, inputs, outputs, saved} = node;
  const shapesAlone = readShapesAlone.has(kernelName);
  if (!shapesAlone && (outputs.length < 2 || !Object.hasOwn(fusedKernels, kernelName))) return;
  const {gradFunc} = tf.getGradient(kernelName)!;
  // The fused gradients read the first dy alone; TensorFlow.js uploads zeros for each of the others.
  node.gradient = dys =>
    gradFunc(
      (shapesAlone ? dys[0] : dys) as tf.Tensor,
      shapesAlone ? all(kernelName, inputs, []) : saved,
      attrs as tf.NamedAttrMap,
    );
}

/** Runs `f`, which takes gradients by TensorFlow.js's own means, on a tape that keeps as little. */
export function recordedLean<R>(engine: EngineInternals, f: () => R): R {
  const {addTapeNode, getTensorsForGradient} = engine;
  const all: ToSave = (...of) => getTensorsForGradient.call(engine, ...of);
  engine.getTensorsForGradient = savedFor(all);
  engine.addTapeNode = (kernelName, inputs, outputs, gradient, saved, attrs) => {
    addTapeNode.call(engine, kernelName, inputs, outputs, gradient, saved, attrs);
    leanGradient(engine.state.activeTape!.at(-1)!, attrs, all);
  };
  try {
    return f();
  } finally {
    engine.addTapeNode = addTapeNode;
    engine.getTensorsForGradient = getTensorsForGradient;
  }
}
