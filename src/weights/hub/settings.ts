// Where the hub is, who asks, and where its files are kept: the environment variables and folders that other tools use too.
import {readFileSync} from 'node:fs';
import {homedir} from 'node:os';
import path from 'node:path';
import {UserError} from '../../platform/user_error.ts';

export interface HubSettings {
  readonly endpoint: string;
  readonly token: string | undefined;
  /** The folder of `models--OWNER--NAME`. */
  readonly cache: string;
  /** Nothing is fetched: what is not in the cache is an error. */
  readonly offline: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** From HF_ENDPOINT, HF_TOKEN (or the token file), HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_HUB_OFFLINE. */
export function hubSettings(environment: Environment = process.env): HubSettings {
  const said = (name: string) => environment[name]?.trim() || undefined;
  const home = said('HF_HOME') ?? path.join(said('XDG_CACHE_HOME') ?? path.join(homedir(), '.cache'), 'huggingface');
  const endpoint = (said('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, '');
  if (!/^https?:\/\//.test(endpoint))
    throw new UserError(`HF_ENDPOINT must be an http or https address, it is "${endpoint}".`);
  return {
    endpoint,
    token: said('HF_TOKEN') ?? tokenIn(said('HF_TOKEN_PATH') ?? path.join(home, 'token')),
    cache: said('HF_HUB_CACHE') ?? path.join(home, 'hub'),
    offline: /^(1|true|yes|on)$/i.test(said('HF_HUB_OFFLINE') ?? ''),
  };
}

function tokenIn(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
