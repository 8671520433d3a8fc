// Checkpoints kept for a held-out figure: each must carry a figure of its own, measured at its step.
import type {CommonConfig} from '../../src/config/schema.ts';
import {UserError} from '../../src/platform/user_error.ts';

/** @throws UserError where checkpoints would be written between evaluations, and so carry the figures of an earlier step. */
export function refuseStaleFigures({checkpoint, heldOut}: Pick<CommonConfig, 'checkpoint' | 'heldOut'>): void {
  if (checkpoint.keepBest && checkpoint.every % heldOut.every !== 0)
    throw new UserError(
      `checkpoint.keepBest compares held-out figures, but checkpoint.every ${checkpoint.every} is no multiple of heldOut.every ${heldOut.every}: some checkpoints would have the figures of an earlier step.`,
    );
}

/** @throws UserError where a run has no such figure. */
export function needFigure(metric: string, metrics: Readonly<Record<string, number>>): void {
  if (metrics[metric] === undefined)
    throw new UserError(
      `checkpoint.keepBest.metric is "${metric}", but the held-out figures of this stage are ${Object.keys(metrics).join(', ')}.`,
    );
}
