// Gradient checkpointing: a block's activations are not kept for the gradient but computed again when it is taken (Chen et
// al. 2016, "Training Deep Nets with Sublinear Memory Cost"). The one seam to TensorFlow.js's tape in this folder: a
// gradient taken inside another's backward pass would clear the outer tape, so it is put back.
import {needs, withNeeded} from '../ops/needed.ts';
import {recordedLean} from '../ops/tape.ts';
import {engineInternals} from '../ops/tfjs_internals.ts';
import * as tf from '../tf.ts';
import type {Block} from './block.ts';

type MaybeTensors = readonly (tf.Tensor | undefined)[];

/**
 * `forward(...inputs)`, recorded as one operation that keeps only its inputs. `forward` must depend on nothing that trains
 * but `inputs` and the weights of `block`. The same operations are run again, so gradients differ by the order of sums alone.
 */
export function checkpointed<T extends tf.Tensor>(
  block: Block,
  inputs: MaybeTensors,
  forward: (...inputs: MaybeTensors) => T,
): T {
  const engine = engineInternals();
  if (engine.state.gradientDepth === 0) return forward(...inputs);
  const given = inputs.flatMap((input, i) => (input ? [{input, i}] : []));
  const weights = [...block.trainableNamedWeights().values()];
  const again = (tensors: readonly tf.Tensor[]) => {
    const placed: (tf.Tensor | undefined)[] = inputs.map(() => undefined);
    for (const [k, {i}] of given.entries()) placed[i] = tensors[k];
    return forward(...placed);
  };
  return engine.runKernelFunc({
    inputs: [...given.map(({input}) => input), ...weights],
    forwardFunc: (_, save) => {
      save(given.map(({input}) => input));
      return forward(...inputs);
    },
    backwardsFunc: (dy, saved) => {
      const sources = [...saved, ...weights];
      let gradients: (tf.Tensor | undefined)[] | undefined;
      const gradientOf = (k: number) => {
        // Computed at the first question, and again where a caller tidied the others away in between.
        if (!gradients?.[k] || gradients[k].isDisposed) gradients = recompute(() => again(saved), sources, dy);
        return gradients[k]!;
      };
      return Object.fromEntries(sources.map((_, k) => [String(k), () => gradientOf(k)]));
    },
  }) as T;
}

/** Runs `forward` on a tape of its own and returns the gradients of those sources that are asked for. */
function recompute(forward: () => tf.Tensor, sources: readonly tf.Tensor[], dy: tf.Tensor): (tf.Tensor | undefined)[] {
  const engine = engineInternals();
  const {state} = engine;
  const asked = sources.map((_, k) => needs(k));
  const outer = state.activeTape;
  try {
    const wanted = sources.filter((_, k) => asked[k]);
    const {value, grads} = withNeeded(everything, () =>
      recordedLean(engine, () => tf.engine().gradients(forward, wanted, dy, true)),
    );
    value.dispose();
    let next = 0;
    return sources.map((source, k) =>
      asked[k] ? ((grads[next++] as tf.Tensor | undefined) ?? tf.fill(source.shape, 0)) : undefined,
    );
  } finally {
    state.activeTape = outer;
  }
}

/** Inside a block all gradients count: TensorFlow.js has already left out what leads to none of the sources. */
class Everything extends Set<string> {
  override has(): boolean {
    return true;
  }
}
const everything = new Everything();
