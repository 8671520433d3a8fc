// Requests to the hub: the token goes to the hub alone (a redirect to another host drops it), a silent connection ends, and
// what the hub refuses is said in one sentence.
import {UserError} from '../../platform/user_error.ts';
import type {HubSettings} from './settings.ts';

export interface Answer {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** @throws HubRefusal for what asking again does not change; another error where it may. */
export type Ask = (url: string, headers?: Readonly<Record<string, string>>) => Promise<Answer>;

/** The hub said no. */
export class HubRefusal extends UserError {}

const SILENCE_MS = 60_000;

export function asker({endpoint, token}: HubSettings, {silenceMs = SILENCE_MS}: {silenceMs?: number} = {}): Ask {
  return async (url, headers = {}) => {
    const own = new URL(url).host === new URL(endpoint).host;
    const stop = new AbortController();
    let timer = setTimeout(() => stop.abort(new Error(`silent for ${silenceMs / 1000} s`)), silenceMs);
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(new Error(`silent for ${silenceMs / 1000} s`)), silenceMs);
    };
    const authorization: Record<string, string> = own && token ? {authorization: `Bearer ${token}`} : {};
    try {
      // fetch drops the authorization where a redirect leaves the host.
      const response = await fetch(url, {
        headers: {'user-agent': 'video-ldm', ...headers, ...authorization},
        signal: stop.signal,
      });
      heard();
      if (response.ok && response.body)
        return {status: response.status, body: heardBody(response.body, heard, () => clearTimeout(timer))};
      await response.body?.cancel();
      throw refusal(response.status, url, token !== undefined);
    } catch (error) {
      clearTimeout(timer);
      throw error;
    }
  };
}

async function* heardBody(
  body: ReadableStream<Uint8Array>,
  heard: () => void,
  end: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      heard();
      yield chunk;
    }
  } finally {
    end();
  }
}

function refusal(status: number, url: string, hasToken: boolean): Error {
  switch (status) {
    case 401:
    case 403:
      return new HubRefusal(
        hasToken
          ? `The hub refuses ${url} to this HF_TOKEN (${status}): accept the model's terms on its page, or use another token.`
          : `The hub refuses ${url} without a token (${status}): set HF_TOKEN, and accept the model's terms on its page.`,
      );
    case 404:
      return new HubRefusal(`The hub has no ${url}: check the name and the revision.`);
    case 416:
      return new Error('the hub cannot go on from there');
    default:
      return status >= 500 || status === 429
        ? new Error(`the hub answered ${status}`)
        : new HubRefusal(`The hub answered ${status} for ${url}.`);
  }
}

/** A small JSON answer. @throws UserError for one that is larger than `most` bytes or no JSON. */
export async function askJson(ask: Ask, url: string, most = 2 ** 24): Promise<unknown> {
  const {body} = await ask(url);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > most) throw new HubRefusal(`${url} answered with more than ${most} bytes.`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new HubRefusal(`${url} did not answer with JSON: is HF_ENDPOINT a hub?`);
  }
}
