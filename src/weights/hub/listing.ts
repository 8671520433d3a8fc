// What a repository of the hub holds at a revision, and which of its files a model folder needs.
import {UserError} from '../../platform/user_error.ts';

/** A file of a repository. `sha256` of large files; `gitSha1` (over "blob SIZE\0" and the bytes) of small ones. */
export interface HubFile {
  readonly name: string;
  readonly bytes: number;
  readonly hash: {readonly sha256: string} | {readonly gitSha1: string};
}

export interface HubListing {
  /** The commit that the revision names. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const MAX_FILES = 10_000;

/** The hub's answer, checked. @throws UserError naming `label` for an answer of another form. */
export function parseListing(json: unknown, label: string): HubListing {
  const refuse = (what: string): never => {
    throw new UserError(`${label} answered something else than a list of files: ${what}.`);
  };
  const {sha, siblings} = object(json) ?? refuse('no JSON object');
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) return refuse('no commit');
  if (!Array.isArray(siblings) || siblings.length > MAX_FILES) return refuse('no list of files');
  const files = siblings.map((sibling): HubFile => {
    const {rfilename: name, size, blobId, lfs} = object(sibling) ?? refuse('an entry that is no object');
    if (typeof name !== 'string' || !isPlainPath(name)) return refuse(`a file named ${JSON.stringify(name)}`);
    const large = object(lfs);
    const sha256 = large?.sha256 ?? large?.oid;
    const bytes = large?.size ?? size;
    if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) return refuse(`no size of ${name}`);
    if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)) return {name, bytes, hash: {sha256}};
    if (typeof blobId === 'string' && /^[0-9a-f]{40}$/.test(blobId)) return {name, bytes, hash: {gitSha1: blobId}};
    return refuse(`no hash of ${name}`);
  });
  return {commit: sha, files};
}

/** A relative path that stays below its folder. */
function isPlainPath(name: string): boolean {
  return name.length < 1000 && name.split('/').every(part => /^[^\\\0:]+$/.test(part) && part !== '.' && part !== '..');
}

function object(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

const models = ['unet', 'vae', 'text_encoder', 'temporal', 'temporal_text_encoder'];
const others =
  /^(model_index\.json|((low_res_)?scheduler\/scheduler_config\.json)|((temporal_)?tokenizer\/(vocab\.json|merges\.txt|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json)))$/;

/**
 * The files of a diffusers folder: each model's configuration and its weights of one variant.
 * @throws UserError where the repository has none, or only pickles.
 */
export function filesOfModels(files: readonly HubFile[], variant: string | undefined, label: string): HubFile[] {
  const infix = variant ? `.${variant}` : '';
  const chosen = files.filter(({name}) => others.test(name));
  let weights = 0;
  for (const place of ['', ...models.map(model => `${model}/`)]) {
    const config = files.find(({name}) => name === `${place}config.json`);
    if (!config) continue;
    const own = files.filter(({name}) => weightName(name, place, infix));
    if (own.length === 0) {
      const beside = files.filter(({name}) => name.startsWith(place));
      const pickled = beside.some(({name}) => /\.(bin|ckpt|pt)$/.test(name));
      if (pickled && !beside.some(({name}) => name.endsWith('.safetensors')))
        throw new UserError(`${label} has ${place || 'its model'} as a pickle only, which is not read.`);
      throw new UserError(`${label} has no ${place}*${infix}.safetensors: choose another --variant.`);
    }
    chosen.push(config, ...own);
    weights += own.length;
  }
  if (weights > 0) return chosen;
  const single = files.filter(({name}) => name.endsWith('.safetensors')).map(({name}) => name);
  const hint =
    single.length > 0
      ? `it has the single files ${single.slice(0, 5).join(', ')}: name one, as hf:OWNER/NAME/FILE`
      : 'it has no safetensors files';
  throw new UserError(`${label} is no diffusers folder: ${hint}.`);
}

/** `STEM.VARIANT.safetensors`, its shards and their index, in the folder itself. */
function weightName(name: string, place: string, infix: string): boolean {
  if (!name.startsWith(place)) return false;
  const own = name.slice(place.length);
  const stem = /^(diffusion_pytorch_model|model)/.exec(own)?.[0];
  if (!stem) return false;
  const rest = own.slice(stem.length);
  return (
    rest === `${infix}.safetensors` ||
    rest === `.safetensors.index${infix}.json` ||
    (rest.startsWith(infix) && /^-\d{5}-of-\d{5}\.safetensors$/.test(rest.slice(infix.length)))
  );
}
