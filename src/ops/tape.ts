// What this project changes of TensorFlow.js's tape as it is recorded.
import * as tf from '../tf.ts';
import {fusedKernels} from './kernel_contracts.ts';
import type {EngineInternals, TapeNode} from './tfjs_internals.ts';

/** TensorFlow.js uploads zeros for each output without a dy; the fused gradients read the first dy alone. */
export function withoutZeros(node: TapeNode, attrs: unknown): void {
  if (node.outputs.length < 2 || !Object.hasOwn(fusedKernels, node.kernelName)) return;
  const {gradFunc} = tf.getGradient(node.kernelName)!;
  const {saved} = node;
  node.gradient = dys => gradFunc(dys as tf.Tensor[], saved, attrs as tf.NamedAttrMap);
}

/** Runs `f`, which takes gradients by TensorFlow.js's own means, so that none of them uploads zeros. */
export function recordedWithoutZeros<R>(engine: EngineInternals, f: () => R): R {
  const {addTapeNode} = engine;
  engine.addTapeNode = (kernelName, inputs, outputs, gradient, saved, attrs) => {
    addTapeNode.call(engine, kernelName, inputs, outputs, gradient, saved, attrs);
    withoutZeros(engine.state.activeTape!.at(-1)!, attrs);
  };
  try {
    return f();
  } finally {
    engine.addTapeNode = addTapeNode;
  }
}
