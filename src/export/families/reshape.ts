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
  samePerm,
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
  e.reshapedFrom(output, x);
  let free = 0;
  for (const source of e.withSources(x)) {
    const between = commonBlocks(source, output);
    for (const {perm, name} of source.constant ? e.everyOrder(source) : e.storedAs(source)) {
      const order = between
        ? reshapePerm(between, perm)
        : isIdentity(perm)
          ? identityPerm(output.shape.length)
          : undefined;
      if (!order || e.storedAs(output).some(s => samePerm(s.perm, order))) continue;
      free++;
      e.set(output, reshapeStored(e, name, permute(source.shape, perm), permute(output.shape, order)), order);
    }
  }
  if (free > 0) return;
  e.later(output, () => move(e, x, output));
}

/** No stored order allows the reshape: moves the data to the order that leaves the result channels first, if there is one. */
function move(e: Emitter, x: GraphValue, output: GraphValue): void {
  const blocks = commonBlocks(x, output);
  const forward = channelsFirst(output.shape.length);
  const back =
    blocks && output.shape.length >= 4 && e.everyOrder(x).every(o => !isIdentity(o.perm))
      ? reshapePerm(blocks.map(flipped), forward)
      : undefined;
  const order: Perm = back ? forward : identityPerm(output.shape.length);
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
