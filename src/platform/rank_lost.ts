// One of several processes that train together is gone, so that the others cannot go on.
import {UserError} from './user_error.ts';

/** The exit code of a process that ended for this reason alone, so that its launcher looks for the cause elsewhere. */
export const RANK_LOST_EXIT = 75;

export class RankLost extends UserError {}
