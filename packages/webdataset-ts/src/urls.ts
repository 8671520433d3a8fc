// From what a user writes to a list of shards: brace expansion, schemes, and names fit for messages and states.
import {EXPANSION_MAX_LENGTH, expand} from 'brace-expansion';
import {WebDatasetError} from './errors.ts';

const MOST_SHARDS = 1_000_000;

/**
 * The shards of one or more brace expressions, in order: `x-{000000..000127}.tar` keeps the zero padding and sets nest.
 * Refuses an expression that gives nothing or more than a million shards.
 */
export function expandUrls(urls: string | readonly string[]): string[] {
  const list = typeof urls === 'string' ? [urls] : urls;
  const expanded = list.flatMap(url => {
    const shards = url.includes('{')
      ? expand(url, {max: MOST_SHARDS + 1, maxLength: 64 * EXPANSION_MAX_LENGTH})
      : [url];
    if (shards.length > MOST_SHARDS) {
      throw new WebDatasetError('bad-option', `the path ${url} expands to more than ${MOST_SHARDS} shards; list fewer`);
    }
    return shards.filter(shard => shard !== '');
  });
  if (expanded.length === 0) {
    throw new WebDatasetError('bad-option', `the list of shards is empty: ${JSON.stringify(urls)} names none`);
  }
  return expanded;
}

export type Scheme = 'file' | 'http' | 's3' | 'stdin';

/** How a shard is reached: '-' is stdin, anything without a known scheme is a path. */
export function schemeOf(url: string): Scheme {
  if (url === '-') return 'stdin';
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file') return 'file';
  if (scheme === 'http' || scheme === 'https') return 'http';
  if (scheme === 's3') return 's3';
  if (!url.includes('://')) return 'file';
  throw new WebDatasetError(
    'bad-option',
    `the shard ${shardName(url)} must be a path, file:, http:, https:, s3: or -, found the scheme ${scheme}:`,
  );
}

/** The shard's address without user, password, query and fragment: safe in logs, and stable when a signature changes. */
export function shardName(url: string): string {
  if (!/^https?:\/\//i.test(url)) return url;
  return url.replace(/[?#].*$/s, '').replace(/^([^:]+:\/\/)[^/@]*@/, '$1');
}
