// The processes (ranks) that train one model together: each takes batches of its own, and gradients are averaged over all.
import type {Group, GroupPlace} from 'tfjs-backend-torch';

export type {Group, GroupPlace};

/** A group of one. */
export const alone: Group = {
  rank: 0,
  worldSize: 1,
  allReduceMean() {},
  broadcast() {},
  allGatherText: async text => [text],
  async close() {},
};
