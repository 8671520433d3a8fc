// Reshapes that respect storage orders.
import type {Emitter} from '../emitter.ts';
import type {GraphValue} from '../graph.ts';
import {
  type Block,
  channelsFirst,
  identityPerm,
  isIdentity,
  type Perm,
  permute,
  reshapeBlocks,
  reshapePerm,
} from '../layout.ts';

/** Gives `output` the data of `x` in `output`'s shape, moving it only where its order forces that. */
export function reshapeTo(e: Emitter, x: GraphValue, output: GraphValue): void {
  if (output.dtype === 'complex64') {
    e.set(output, e.reshape(e.name(x), [...output.shape, 2]));
    return;
  }
  if (x.constant) {
    e.set(output, e.constant(x.constant, output.shape as number[]));
    return;
  }
  const blocks = commonBlocks(x, output);
  const stored = e.everyOrder(x);
  let free = 0;
  for (const {perm, name} of stored) {
    const order = blocks ? reshapePerm(blocks, perm) : isIdentity(perm) ? identityPerm(output.shape.length) : undefined;
    if (!order) continue;
    free++;
    e.set(output, reshapeStored(e, name, permute(x.shape, perm), permute(output.shape, order)), order);
  }
  if (free > 0) return;
  // No stored order allows it: move the data to the order that leaves the result channels first, if there is one.
  const back =
    blocks && output.shape.length >= 4
      ? reshapePerm(blocks.map(flipped), channelsFirst(output.shape.length))
      : undefined;
  const order: Perm = back ? channelsFirst(output.shape.length) : identityPerm(output.shape.length);
  const from = back ?? identityPerm(x.shape.length);
  e.set(output, reshapeStored(e, e.name(x, from), permute(x.shape, from), permute(output.shape, order)), order);
}

function flipped(block: Block): Block {
  return {from: block.to, to: block.from};
}

function reshapeStored(e: Emitter, name: string, from: GraphValue['shape'], to: GraphValue['shape']): string {
  return e.sameShape(from, to) ? name : e.reshape(name, to);
}

/** How the reshape groups dimensions, where that is the same at every traced size. */
function commonBlocks(x: GraphValue, output: GraphValue): Block[] | undefined {
  const all = x.samples.map((shape, k) => reshapeBlocks(shape, output.samples[k]!));
  const text = JSON.stringify(all[0]);
  return all.every(b => JSON.stringify(b) === text) ? all[0] : undefined;
}
