// The conditions of held-out clips: each clip's own, and each clip's with another's, which tells what conditions are worth.
import type {VideoBatch} from '../../datasets/index.ts';
import type {EncodedConditions} from '../../src/models/index.ts';
import {type Conditioning, conditionsOf, type RowsAre} from '../inputs/conditions.ts';

/** Of clip `i`, with the weights as they are now; {} for an unconditional model. */
export interface HeldOutConditions {
  own(i: number): EncodedConditions;
  /** Of the next clip: the model is told of something else than it sees. */
  another(i: number): EncodedConditions;
  /** Of the clip's first frame alone: one row, for a sample. */
  first(i: number): EncodedConditions;
}

export function heldOutConditions(
  conditioning: Conditioning | undefined,
  clips: readonly VideoBatch[],
  rows: RowsAre,
): HeldOutConditions {
  if (!conditioning) return {own: () => ({}), another: () => ({}), first: () => ({})};
  const all = clips.map(clip => conditionsOf(clip, conditioning.encoder.config, rows));
  const of = (i: number) => conditioning.encode(all[i % all.length]!);
  const first = (i: number) => conditioning.encode(all[i % all.length]!.slice(0, 1));
  return {own: of, another: i => of(i + 1), first};
}
