// How a command ends when it cannot go on: one sentence for what the user can mend, the stack only with --verbose.

import {RANK_LOST_EXIT, RankLost} from '../platform/rank_lost.ts';

/** Prints the failure to stderr and exits with code 1, or with one of its own where another process is the cause. */
export function reportFailure(failure: unknown, kind: 'usage' | 'command'): never {
  const verbose = process.argv.includes('--verbose');
  const error = failure instanceof Error ? failure : new Error(String(failure));
  const hint = kind === 'usage' ? ' (see --help)' : '';
  const known = kind === 'usage' || error.name === 'UserError' || error.name.endsWith('UserError');
  if (verbose) console.error(error.stack ?? error.message);
  else if (known) console.error(`video-ldm: ${kind === 'usage' ? oneLine(error.message) : error.message}${hint}`);
  else console.error(`video-ldm: unexpected failure: ${error.message.split('\n')[0]} (--verbose shows where)`);
  process.exit(error instanceof RankLost ? RANK_LOST_EXIT : 1);
}

/** Usage errors as one sentence: yargs lists wrong choices on lines of their own. */
export function oneLine(message: string): string {
  return message.trim().replace(/\s*\n\s*/g, ' ');
}
