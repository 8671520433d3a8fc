// A shard over HTTP: one stream of bytes that survives stalls, cut connections, 5xx answers and wrong lengths, by asking
// again for the rest with Range. undici's own retry interceptor needs an ETag and cannot sign anew; hence this loop.
import {setTimeout} from 'node:timers/promises';
import type {Dispatcher} from 'undici';
import type {ByteSource} from './bytes.ts';
import {type ErrorCode, messageOf, WebDatasetError} from './errors.ts';
import {shardName} from './urls.ts';

export interface HttpOptions {
  /** Sent with every request. A redirect to another host drops Authorization and Cookie, not other headers. */
  headers?: Readonly<Record<string, string>>;
  /** Attempts in a row without progress before the shard is given up; default 8. */
  retries?: number;
  /** The first pause between attempts in milliseconds; it doubles up to 30 s. Default 500. */
  retryDelay?: number;
  /** A connection that gives nothing for this many milliseconds is dropped and tried again; default 30 000. */
  stallTimeout?: number;
}

/** What the transport needs to know of the address: S3 signs every request anew. */
export interface HttpTarget {
  url: string;
  name: string;
  followRedirects: boolean;
  headers(): Promise<Record<string, string>>;
}

/** A plain http(s) address; user and password in it become an Authorization header. */
export function httpTarget(url: string): HttpTarget {
  const name = shardName(url);
  if (!URL.canParse(url))
    throw new WebDatasetError('bad-option', 'this is not an address that can be requested', {shard: name});
  const address = new URL(url);
  const login = `${decodeURIComponent(address.username)}:${decodeURIComponent(address.password)}`;
  const headers: Record<string, string> =
    login === ':' ? {} : {authorization: `Basic ${Buffer.from(login).toString('base64')}`};
  address.username = '';
  address.password = '';
  return {url: address.href, name, followRedirects: true, headers: async () => headers};
}

// An attempt that gained this much counts as progress; less would let a server feed us byte by byte for ever.
const PROGRESS_BYTES = 64 * 1024;
const MOST_DELAY = 30_000;
const SEEK_BYTES = 4 * 2 ** 20;
const END_CHECKS = 5;
const MOST_REDIRECTS = 5;

const agents = new Map<string, Promise<Dispatcher>>();

/** One connection pool per way of connecting; undici is loaded with the first remote shard. */
function agentFor(stallTimeout: number, followRedirects: boolean): Promise<Dispatcher> {
  const key = `${stallTimeout} ${followRedirects}`;
  let agent = agents.get(key);
  if (!agent) {
    agent = import('undici').then(({Agent, interceptors}) => {
      const pool = new Agent({
        connect: {timeout: stallTimeout},
        headersTimeout: stallTimeout,
        bodyTimeout: stallTimeout,
      });
      return followRedirects ? pool.compose(interceptors.redirect({maxRedirections: MOST_REDIRECTS})) : pool;
    });
    agents.set(key, agent);
  }
  return agent;
}

/** Thrown inside the loop for what another attempt may mend. */
class Retry extends Error {
  readonly after: number;
  constructor(message: string, after = 0) {
    super(message);
    this.after = after;
  }
}

/** What identifies one version of the shard. */
interface Version {
  etag: string | undefined;
  modified: string | undefined;
}

/** A shard at an address. `length()` is what the server has stated so far. */
export interface HttpSource extends ByteSource {
  length(): number | undefined;
}

/** A shard's bytes over HTTP; nothing is requested before the first chunk is asked for. */
export function httpSource(target: HttpTarget, options: HttpOptions = {}, signal?: AbortSignal): HttpSource {
  const {retries = 8, retryDelay = 500, stallTimeout = 30_000} = options;
  let version: Version | undefined;
  let length: number | undefined;
  // Where answers ended last and how often; a 416 makes it sure, anything else may be a wrong length.
  let ended = {at: -1, times: 0, sure: false};

  /** Asks for the bytes from `position`; undefined when there are none. */
  async function request(
    position: number,
  ): Promise<{body: AsyncIterable<Buffer>; discard: number; end: number | undefined} | undefined> {
    const {request} = await import('undici');
    const headers: Record<string, string> = {
      ...options.headers,
      ...(await target.headers()),
      'accept-encoding': 'identity',
    };
    if (position > 0) headers.range = `bytes=${position}-`;
    const dispatcher = await agentFor(stallTimeout, target.followRedirects);
    const response = await request(target.url, {method: 'GET', headers, dispatcher, ...(signal && {signal})}).catch(
      error => {
        throw new Retry(messageOf(error));
      },
    );
    const {statusCode: status, body} = response;
    const header = (name: string): string | undefined => {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    const abandon = () => {
      body.on('error', () => {}); // destroying may report the abort
      body.destroy();
    };
    if (status === 200 || status === 206) {
      const found: Version = {etag: header('etag'), modified: header('last-modified')};
      if (version && isOther(version, found)) {
        abandon();
        throw fatal('shard-changed', 'the shard was replaced on the server while it was being read');
      }
      version ??= found;
      if (status === 200) {
        length = contentLength(header('content-length'));
        if (length !== undefined && position > 0 && length <= position) {
          abandon();
          return undefined;
        }
        return {body, discard: position, end: length};
      }
      const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header('content-range') ?? '');
      if (!range || Number(range[1]) !== position) {
        abandon();
        throw new Retry(`the server answered bytes ${position}- with ${header('content-range') ?? 'no content-range'}`);
      }
      if (range[3] !== '*') length = Number(range[3]);
      return {body, discard: 0, end: Number(range[2]) + 1};
    }
    abandon();
    if (status === 416) {
      ended = {at: position, times: 0, sure: true};
      return undefined;
    }
    if (status === 408 || status === 425 || status === 429 || status >= 500) {
      throw new Retry(`the server answered ${status}`, retryAfter(header('retry-after')));
    }
    if (status === 404 || status === 410)
      throw fatal('not-found', `the server answered ${status}: there is no such shard`);
    if (status === 401 || status === 403)
      throw fatal('forbidden', `the server answered ${status}: check the credentials`);
    const hint =
      target.followRedirects || status >= 400 ? '' : ', and redirects are not followed here: check region and endpoint';
    throw fatal('http-status', `the server answered ${status}, expected 200 or 206${hint}`);
  }

  const fatal = (code: ErrorCode, message: string, cause?: unknown) =>
    new WebDatasetError(code, message, {scope: 'shard', shard: target.name, cause});

  async function* chunks(from: number): AsyncGenerator<Uint8Array> {
    if (from > 0 && from === ended.at) {
      if (ended.sure) return;
      if (ended.times > 0) await sleep(Math.min(MOST_DELAY, retryDelay * 2 ** (ended.times - 1)), signal);
    }
    const position = yield* attempts(from);
    if (!ended.sure) ended = {at: position, times: position === ended.at ? ended.times + 1 : 0, sure: false};
  }

  /** Attempt after attempt until the end; returns where that is. */
  async function* attempts(from: number): AsyncGenerator<Uint8Array, number> {
    let position = from;
    let fruitless = 0;
    for (;;) {
      const attemptStart = position;
      try {
        const answer = await request(position);
        if (!answer) return position;
        let {discard} = answer;
        const iterator = answer.body[Symbol.asyncIterator]();
        try {
          for (;;) {
            // Only the network's errors are mended here, not those the consumer of a chunk may cause.
            const next = await iterator.next().catch(error => {
              throw new Retry(messageOf(error));
            });
            if (next.done) break;
            const chunk = discard > 0 ? next.value.subarray(discard) : next.value;
            discard = Math.max(0, discard - next.value.length);
            if (chunk.length === 0) continue;
            position += chunk.length;
            yield chunk;
          }
        } finally {
          await iterator.return?.();
        }
        if (discard > 0) return position; // the whole shard is shorter than where we stand
        if (answer.end === undefined || position >= answer.end) {
          if (length === undefined || position >= length) return position;
          if (position === attemptStart) throw new Retry(`the server gave nothing at byte ${position} of ${length}`);
        } else {
          throw new Retry(`the connection ended at byte ${position} of ${answer.end}`);
        }
      } catch (error) {
        if (!(error instanceof Retry)) throw error;
        if (signal?.aborted) throw fatal('network', 'reading was called off', error);
        fruitless = position - attemptStart >= PROGRESS_BYTES ? 0 : fruitless + 1;
        if (fruitless > retries) {
          throw fatal(
            'network',
            `reading failed at byte ${position} after ${fruitless} attempts without progress (${error.message})`,
            error,
          );
        }
        // Jitter only spreads the load: it decides nothing about the data.
        const backoff = fruitless === 0 ? 0 : retryDelay * 2 ** (fruitless - 1) * (0.75 + Math.random() / 2);
        await sleep(Math.min(MOST_DELAY, Math.max(error.after, backoff)), signal);
      }
    }
  }

  return {
    name: target.name,
    seekBytes: SEEK_BYTES,
    endChecks: END_CHECKS,
    chunks,
    close: async () => {},
    length: () => length,
  };
}

function isOther(known: Version, found: Version): boolean {
  if (known.etag !== undefined && found.etag !== undefined) return known.etag !== found.etag;
  return known.modified !== undefined && found.modified !== undefined && known.modified !== found.modified;
}

function contentLength(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Milliseconds a Retry-After asks for: seconds or a date. */
function retryAfter(text: string | undefined): number {
  if (text === undefined) return 0;
  const wait = /^\d{1,6}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : 0;
}

/** Waits; ends early when called off. */
async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await setTimeout(milliseconds, undefined, signal && {signal}).catch(() => {});
}
