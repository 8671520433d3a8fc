// The one class of error a user is meant to read: one sentence, no stack trace at the command line.

/**
 * Something the user can mend: it names the thing, what was expected, the value found and what to do.
 * The command line prints its message alone and exits with code 1; everything else is a bug and keeps its stack.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
}
