// Outputs that are computed again for the gradient instead of being held until then: those of norms, gated activations and
// mixes, which read little more than they write and whose inputs are held anyway (Chen et al. 2016, "Training Deep Nets with
// Sublinear Memory Cost": drop the results of cheap operations). checkpointing.ts of src/layers does so for whole blocks.
import type * as tf from '../tf.ts';
import {computedAgain, isCheap} from './fused.ts';
import type {FusedKernelName, KernelContracts} from './kernel_contracts.ts';
import type {EngineInternals, TapeNode} from './tfjs_internals.ts';

interface Origin {
  readonly node: TapeNode;
  readonly kernel: FusedKernelName;
  readonly attrs: KernelContracts[FusedKernelName]['attrs'];
  /** While nodes that read it are differentiated. */
  value?: tf.Tensor;
}

/** What the tape does without. Of one gradient: made before the loss is recorded, used until its last node is done. */
export interface Recomputation {
  /** After a node was recorded. */
  note(node: TapeNode, attrs: unknown): void;
  /** A tensor of x's shape to save in its place, whose values are not x's; undefined where x itself is to be held. */
  standIn(x: tf.Tensor): tf.Tensor | undefined;
  /** Before a node's gradient is taken: what it saved is there again. */
  restore(node: TapeNode): void;
  /** After a node's gradient was taken: nothing before it on the tape reads its output. */
  release(node: TapeNode): void;
}

/** `shared`: x's data under a tensor of its own. `least`: elements of what is worth computing again. */
export function recomputation(
  engine: EngineInternals,
  shared: (engine: EngineInternals, x: tf.TensorInfo) => tf.Tensor,
  least: number,
): Recomputation {
  const byData = new Map<object, Origin>();
  const byNode = new Map<TapeNode, Origin>();
  const byStandIn = new Map<number, Origin>();

  const restore = (node: TapeNode) => {
    for (const [i, saved] of node.saved.entries()) {
      const origin = byStandIn.get(saved.id);
      if (!origin) continue;
      origin.value ??= again(origin);
      node.saved[i] = shared(engine, {dataId: origin.value.dataId, shape: saved.shape, dtype: saved.dtype});
      saved.dispose();
    }
  };
  const again = ({node, kernel, attrs}: Origin): tf.Tensor => {
    restore(node);
    const count = Object.keys(node.inputs).length;
    return computedAgain(kernel, {inputs: node.saved.slice(0, count), outputs: node.saved.slice(count)}, attrs);
  };
  return {
    note(node, attrs) {
      const kernel = node.kernelName;
      if (!isCheap(kernel) || node.outputs[0]!.size < least) return;
      const origin = {node, kernel, attrs: attrs as Origin['attrs']};
      byData.set(node.outputs[0]!.dataId, origin);
      byNode.set(node, origin);
    },
    standIn(x) {
      const origin = byData.get(x.dataId);
      if (!origin) return undefined;
      // The data of something that is held as long: a stand-in takes no memory and no upload.
      const {dataId} = origin.node.saved[0]!;
      const standIn = shared(engine, {dataId, shape: x.shape, dtype: x.dtype});
      byStandIn.set(standIn.id, origin);
      return standIn;
    },
    restore,
    release: node => byNode.get(node)?.value?.dispose(),
  };
}
