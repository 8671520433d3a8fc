// The package's one error class: a code, the shard, the sample's key and how much of the data is lost with it.

/** What went wrong, as a closed list that a handler may switch on. */
export type ErrorCode =
  // the caller's
  | 'bad-option'
  | 'bad-state'
  | 'state-mismatch'
  | 'empty-epoch'
  // getting at a shard
  | 'not-found'
  | 'forbidden'
  | 'http-status'
  | 'network'
  | 'shard-changed'
  | 'io'
  // what is in a shard
  | 'truncated'
  | 'bad-checksum'
  | 'bad-header'
  | 'bad-end'
  | 'header-too-large'
  | 'unsupported'
  | 'bad-compression'
  | 'unsafe-name'
  | 'duplicate-member'
  | 'member-too-large'
  | 'sample-too-large'
  | 'too-many-members'
  // what is in a sample
  | 'decode'
  // writing
  | 'bad-sample'
  | 'write-failed';

/** 'sample': one sample is lost. 'shard': the rest of the shard is. 'run': nothing can go on. */
export type ErrorScope = 'sample' | 'shard' | 'run';

export interface ErrorPlace {
  scope?: ErrorScope;
  shard?: string | undefined;
  key?: string | undefined;
  cause?: unknown;
}

/** One sentence that names the shard, the sample, what was expected, what was found and, where there is one, the way out. */
export class WebDatasetError extends Error {
  override readonly name = 'WebDatasetError';
  readonly code: ErrorCode;
  readonly scope: ErrorScope;
  readonly shard: string | undefined;
  readonly key: string | undefined;
  /** The message without shard and key. */
  readonly detail: string;

  constructor(code: ErrorCode, message: string, place: ErrorPlace = {}) {
    const where = [
      place.shard === undefined ? [] : [`shard ${place.shard}`],
      place.key === undefined ? [] : [`sample ${place.key}`],
    ].flat();
    const options = place.cause === undefined ? undefined : {cause: place.cause};
    super(where.length > 0 ? `${where.join(', ')}: ${message}` : message, options);
    this.code = code;
    this.scope = place.scope ?? 'run';
    this.shard = place.shard;
    this.key = place.key;
    this.detail = message;
  }
}

/**
 * The policy for bad samples and bad shards. It returns to skip what was lost (`error.scope` says how much) and go on,
 * and throws to stop. Errors of scope 'run' never reach it.
 */
export type ErrorHandler = (error: WebDatasetError) => void | Promise<void>;

/** The default policy: the first bad sample stops the reading. */
export const throwError: ErrorHandler = error => {
  throw error;
};

/** A policy that skips what is bad and appends it to `list`, which the caller may log or count. */
export function collectErrors(list: WebDatasetError[]): ErrorHandler {
  return error => {
    list.push(error);
  };
}

/** The same error with the sample it struck; anything else as it is. */
export function withKey(error: unknown, key: string | undefined): unknown {
  if (!(error instanceof WebDatasetError) || error.key !== undefined || key === undefined) return error;
  const {code, detail, scope, shard, cause} = error;
  return new WebDatasetError(code, detail, {scope, shard, key, cause});
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
