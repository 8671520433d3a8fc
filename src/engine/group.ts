// The processes (ranks) that train one model together: each takes batches of its own, and gradients are averaged over all.
import type * as tf from '../tf.ts';

/** Where a process stands among those that train together, by the names torchrun gives them. */
export interface GroupPlace {
  /** 0 .. worldSize-1 (RANK). */
  readonly rank: number;
  readonly worldSize: number;
  /** Of this process among those of its machine, which have a GPU each (LOCAL_RANK). */
  readonly localRank: number;
  readonly localWorldSize: number;
  /** Where rank 0 listens (MASTER_ADDR, MASTER_PORT). */
  readonly address: string;
  readonly port: number;
  /** Where another process listens there in its place (torchrun's agent): tells this group from earlier ones. */
  readonly attempt?: string;
}

/**
 * Every rank makes the same calls in the same order, with tensors of the same shapes; a call ends when all have made it. Where
 * one is gone, the others' calls fail.
 */
export interface Group {
  readonly rank: number;
  readonly worldSize: number;
  /** Writes the mean over the ranks into each variable: the same bytes on every rank. Float32. */
  allReduceMean(variables: readonly tf.Tensor[]): void;
  /** Writes rank 0's values into each variable. */
  broadcast(variables: readonly tf.Tensor[]): void;
  /** What each rank said, in their order. The event loop goes on meanwhile. */
  allGatherText(text: string): Promise<string[]>;
  close(): Promise<void>;
}

/** A group of one. */
export const alone: Group = {
  rank: 0,
  worldSize: 1,
  allReduceMean() {},
  broadcast() {},
  allGatherText: async text => [text],
  async close() {},
};
