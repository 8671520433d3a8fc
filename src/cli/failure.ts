// How a command ends when it cannot go on: one sentence for what the user can mend, the stack only with --verbose.

/** Prints the failure to stderr and exits with code 1. */
export function reportFailure(failure: unknown, kind: 'usage' | 'command'): never {
  const verbose = process.argv.includes('--verbose');
  const error = failure instanceof Error ? failure : new Error(String(failure));
  const hint = kind === 'usage' ? ' (see --help)' : '';
  const known = kind === 'usage' || error.name === 'UserError' || error.name.endsWith('UserError');
  if (verbose) console.error(error.stack ?? error.message);
  else if (known) console.error(`video-ldm: ${kind === 'usage' ? oneLine(error.message) : error.message}${hint}`);
  else console.error(`video-ldm: unexpected failure: ${error.message.split('\n')[0]} (--verbose shows where)`);
  process.exit(1);
}

/** Usage errors as one sentence: yargs lists wrong choices on lines of their own. */
export function oneLine(message: string): string {
  return message.trim().replace(/\s*\n\s*/g, ' ');
}
