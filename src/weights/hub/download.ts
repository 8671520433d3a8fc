// One file from the hub into the cache's blobs: resumed where it was cut, verified by its hash, in place only when whole.
import {createHash, type Hash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {mkdir, open, rename, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {UserError} from '../../platform/user_error.ts';
import {explained} from '../file_errors.ts';
import type {HubFile} from './listing.ts';
import {type Ask, HubRefusal} from './request.ts';

const ATTEMPTS = 6;

/** The name of a file's blob, as other tools have it. */
export function blobName({hash}: HubFile): string {
  return 'sha256' in hash ? hash.sha256 : hash.gitSha1;
}

/**
 * Makes sure that `blob` holds the file; resumes `blob.incomplete`.
 * @throws UserError where the hub refuses it, breaks off time and again, or sends other bytes than it promised.
 */
export async function downloadBlob(
  ask: Ask,
  url: string,
  file: HubFile,
  blob: string,
  {onBytes, waitMs = 1000}: {onBytes?: (bytes: number) => void; waitMs?: number} = {},
): Promise<void> {
  if ((await sizeOf(blob)) === file.bytes) return;
  await explained('write', blob, () => mkdir(path.dirname(blob), {recursive: true}));
  const partial = `${blob}.incomplete`;
  let refetched = false;
  for (let attempt = 1; ; attempt++) {
    const failure = await fetchRest(ask, url, file, partial, onBytes);
    if (failure === undefined) {
      if (await isWhole(partial, file)) break;
      // What an earlier, killed download left may be at fault: once more from the start.
      await rm(partial, {force: true});
      if (refetched)
        throw new UserError(`${file.name} from ${url} is not what the hub promised: its hash differs, twice.`);
      refetched = true;
      continue;
    }
    if (failure instanceof HubRefusal || failure instanceof UserError) throw failure;
    if (attempt >= ATTEMPTS)
      throw new UserError(
        `${file.name} from ${url} broke off ${attempt} times (${reasonOf(failure)}): run the same command again to go on.`,
      );
    await sleep(waitMs * 2 ** (attempt - 1));
  }
  await explained('write', blob, () => rename(partial, blob));
}

/** Appends what is missing; the failure, or undefined when as many bytes are there as there should be. */
async function fetchRest(
  ask: Ask,
  url: string,
  file: HubFile,
  partial: string,
  onBytes: ((bytes: number) => void) | undefined,
): Promise<unknown> {
  let have = (await sizeOf(partial)) ?? 0;
  if (have > file.bytes) {
    await rm(partial, {force: true});
    have = 0;
  }
  if (have === file.bytes && have > 0) return undefined;
  try {
    const {status, body} = await ask(url, have > 0 ? {range: `bytes=${have}-`} : {});
    // A server that knows no ranges sends all of it.
    const from = status === 206 ? have : 0;
    const handle = await explained('write', partial, () => open(partial, from > 0 ? 'r+' : 'w'));
    let at = from;
    try {
      for await (const chunk of body) {
        if (at + chunk.length > file.bytes) return new Error(`more than the ${file.bytes} bytes promised`);
        await explained('write', partial, () => writeAll(handle, chunk, at));
        at += chunk.length;
        onBytes?.(chunk.length);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    return at === file.bytes ? undefined : new Error(`${at} of ${file.bytes} bytes came`);
  } catch (error) {
    return error ?? new Error('unknown');
  }
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; )
    done += (await handle.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
}

async function isWhole(partial: string, {hash, bytes}: HubFile): Promise<boolean> {
  const digest: Hash = createHash('sha256' in hash ? 'sha256' : 'sha1');
  if ('gitSha1' in hash) digest.update(`blob ${bytes}\0`);
  for await (const chunk of createReadStream(partial, {highWaterMark: 2 ** 22})) digest.update(chunk);
  return digest.digest('hex') === ('sha256' in hash ? hash.sha256 : hash.gitSha1);
}

async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({size}) => size,
    () => undefined,
  );
}

function reasonOf(failure: unknown): string {
  const cause = failure instanceof Error && failure.cause instanceof Error ? failure.cause : failure;
  return cause instanceof Error ? cause.message : String(cause);
}
