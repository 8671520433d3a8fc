// Storage orders. TensorFlow.js is channels last, ONNX channels first; a value keeps its logical (TensorFlow.js) shape and
// may be stored in another order: perm[i] is the logical dimension stored at place i.

export type Perm = readonly number[];

export function identityPerm(rank: number): Perm {
  return Array.from({length: rank}, (_, i) => i);
}

export function isIdentity(perm: Perm): boolean {
  return perm.every((p, i) => p === i);
}

export function samePerm(a: Perm, b: Perm): boolean {
  return a.length === b.length && a.every((p, i) => p === b[i]);
}

/** N, spatial dimensions..., C stored as N, C, spatial dimensions... */
export function channelsFirst(rank: number): Perm {
  return [0, rank - 1, ...Array.from({length: rank - 2}, (_, i) => i + 1)];
}

export function permute<T>(values: readonly T[], perm: Perm): T[] {
  return perm.map(p => values[p]!);
}

/** The Transpose attribute that turns storage `from` into storage `to`. */
export function between(from: Perm, to: Perm): number[] {
  return to.map(p => from.indexOf(p));
}

/** Whether the dimensions larger than one keep their order, so that a Reshape does the work of a Transpose. */
export function movesOnlyOnes(from: Perm, to: Perm, isOne: (logical: number) => boolean): boolean {
  const a = from.filter(p => !isOne(p));
  const b = to.filter(p => !isOne(p));
  return samePerm(a, b);
}

export interface Block {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Splits a reshape into the smallest runs of dimensions with equal products, or undefined where a size is zero. */
export function reshapeBlocks(from: readonly number[], to: readonly number[]): Block[] | undefined {
  if (from.includes(0) || to.includes(0)) return undefined;
  const blocks: Block[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    const block = {from: [] as number[], to: [] as number[]};
    let a = 1;
    let b = 1;
    do {
      const takeFrom = block.from.length === 0 ? i < from.length : block.to.length > 0 && a < b;
      if (takeFrom && i < from.length) {
        a *= from[i]!;
        block.from.push(i++);
      } else if (j < to.length) {
        b *= to[j]!;
        block.to.push(j++);
      } else if (i < from.length) {
        a *= from[i]!;
        block.from.push(i++);
      } else return undefined;
    } while (a !== b || (block.to.length === 0 && j < to.length));
    blocks.push(block);
  }
  return blocks;
}

/** The storage order of a reshape's result when its input is stored as `perm` and no data moves, or undefined. */
export function reshapePerm(blocks: readonly Block[], perm: Perm): Perm | undefined {
  const result: number[] = [];
  const left = new Set(blocks);
  for (let place = 0; place < perm.length; ) {
    const block = blocks.find(b => b.from.includes(perm[place]!));
    if (!block?.from.every((d, k) => perm[place + k] === d)) return undefined;
    place += block.from.length;
    result.push(...block.to);
    left.delete(block);
  }
  for (const block of left) result.push(...block.to); // only blocks of ones, without input dimensions
  return result;
}
