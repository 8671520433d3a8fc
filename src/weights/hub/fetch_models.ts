// `hf:OWNER/NAME`: a repository's model files in the hub's usual cache, where other tools find them and theirs are found.
import {existsSync} from 'node:fs';
import {copyFile, mkdir, readFile, rm, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {UserError} from '../../platform/user_error.ts';
import {explained} from '../file_errors.ts';
import {blobName, downloadBlob} from './download.ts';
import {filesOfModels, type HubFile, type HubListing, parseListing} from './listing.ts';
import {type Ask, asker, askJson, HubRefusal} from './request.ts';
import {type HubSettings, hubSettings} from './settings.ts';

export interface FetchOptions {
  /** Branch, tag or commit; `main` where absent. */
  readonly revision?: string | undefined;
  /** Weight files such as model.fp16.safetensors. */
  readonly variant?: string | undefined;
  readonly settings?: HubSettings;
  readonly onProgress?: (line: string) => void;
  /** First wait after a failure, in milliseconds; it doubles. */
  readonly waitMs?: number;
}

/**
 * Fetches what is not in the cache. `name` is OWNER/NAME, or OWNER/NAME/FILE for one file.
 * @returns the folder (a snapshot in the cache), or the file.
 * @throws UserError for a name that is none, and for what the hub refuses or lacks.
 */
export async function fetchModels(name: string, options: FetchOptions = {}): Promise<string> {
  const {revision = 'main', variant, settings = hubSettings(), onProgress = () => undefined, waitMs} = options;
  const found = /^([A-Za-z0-9][\w.-]*)\/([A-Za-z0-9][\w.-]*)(?:\/(.+))?$/.exec(name);
  if (!found) throw new UserError(`hf:${name} names no model: expected hf:OWNER/NAME, or hf:OWNER/NAME/FILE.`);
  if (!/^[\w./-]{1,200}$/.test(revision) || revision.includes('..'))
    throw new UserError(`--revision ${revision} is no branch, tag or commit.`);
  const [, owner, model, file] = found;
  const repository = `${owner}/${model}`;
  const root = path.join(settings.cache, `models--${owner}--${model}`);
  if (settings.offline) return fromCache(root, revision, file, repository);
  const ask = asker(settings);
  const listing = await list(ask, settings, repository, revision, waitMs);
  const label = `hf:${repository}`;
  const wanted = file === undefined ? filesOfModels(listing.files, variant, label) : [oneFile(listing, file, label)];
  const snapshot = path.join(root, 'snapshots', listing.commit);
  const total = wanted.reduce((sum, {bytes}) => sum + bytes, 0);
  const progress = progressOf(total, onProgress);
  onProgress(`${label} at ${listing.commit.slice(0, 10)}: ${wanted.length} files, ${mebibytes(total)}`);
  for (const one of wanted) {
    const blob = path.join(root, 'blobs', blobName(one));
    const url = `${settings.endpoint}/${repository}/resolve/${listing.commit}/${one.name.split('/').map(encodeURIComponent).join('/')}`;
    await downloadBlob(ask, url, one, blob, {onBytes: progress, ...(waitMs === undefined ? {} : {waitMs})});
    await link(blob, path.join(snapshot, one.name));
  }
  const reference = path.join(root, 'refs', revision);
  await explained('write', reference, async () => {
    await mkdir(path.dirname(reference), {recursive: true});
    await writeFile(reference, listing.commit);
  });
  return file === undefined ? snapshot : path.join(snapshot, file);
}

const LIST_ATTEMPTS = 5;

async function list(
  ask: Ask,
  {endpoint}: HubSettings,
  repository: string,
  revision: string,
  waitMs = 1000,
): Promise<HubListing> {
  const url = `${endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`;
  for (let attempt = 1; ; attempt++) {
    try {
      return parseListing(await askJson(ask, url), url);
    } catch (error) {
      if (error instanceof HubRefusal || error instanceof UserError) throw error;
      if (attempt >= LIST_ATTEMPTS)
        throw new UserError(
          `The hub at ${endpoint} cannot be reached (${causeOf(error)}): check the network or HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use the cache alone.`,
        );
      await sleep(waitMs * 2 ** (attempt - 1));
    }
  }
}

function oneFile({files}: HubListing, file: string, label: string): HubFile {
  const found = files.find(({name}) => name === file);
  if (!found) throw new UserError(`${label} has no file ${file}.`);
  return found;
}

async function fromCache(
  root: string,
  revision: string,
  file: string | undefined,
  repository: string,
): Promise<string> {
  const named = await readFile(path.join(root, 'refs', revision), 'utf8').catch(() => revision);
  const snapshot = path.join(root, 'snapshots', named.trim());
  const place = file === undefined ? snapshot : path.join(snapshot, file);
  if (!existsSync(place))
    throw new UserError(`HF_HUB_OFFLINE is set, and hf:${repository} (${revision}) is not in the cache at ${root}.`);
  return place;
}

/** A relative link into the blobs; a copy where the file system has no links. */
async function link(blob: string, place: string): Promise<void> {
  await explained('write', place, async () => {
    await mkdir(path.dirname(place), {recursive: true});
    await rm(place, {force: true});
    await symlink(path.relative(path.dirname(place), blob), place).catch(() => copyFile(blob, place));
  });
}

/** One line every few per cent. */
function progressOf(total: number, onProgress: (line: string) => void): (bytes: number) => void {
  let done = 0;
  let said = 0;
  const start = performance.now();
  return bytes => {
    done += bytes;
    const now = performance.now();
    if (now - said < 5000) return;
    said = now;
    const rate = done / ((now - start) / 1000);
    onProgress(`${mebibytes(done)} of ${mebibytes(total)}, ${mebibytes(rate)}/s`);
  };
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
