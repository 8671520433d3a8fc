// The hub's paths from a local server that redirects, cuts, lies, stalls and refuses.
import {createHash} from 'node:crypto';
import {mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, truncateSync} from 'node:fs';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {fetchModels} from '../../src/weights/hub/fetch_models.ts';
import {parseListing} from '../../src/weights/hub/listing.ts';
import {hubSettings} from '../../src/weights/hub/settings.ts';
import {importModels} from '../../src/weights/import_models.ts';
import {writeModelFolder} from '../helpers/model_folders.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hub-'));
const model = path.join(folder, 'model');
const commit = 'a'.repeat(40);
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const gitSha1 = (bytes: Buffer) => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

interface Seen {
  url: string;
  range: string | undefined;
  authorization: string | undefined;
}
type Misbehave = (request: IncomingMessage, response: ServerResponse, bytes: Buffer) => boolean;

let seen: Seen[] = [];
let misbehave: Misbehave = () => false;
let files = new Map<string, Buffer>();
let hub: Server;
let store: Server;
let counter = 0;

const address = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const listen = (handler: (request: IncomingMessage, response: ServerResponse) => void) =>
  new Promise<Server>(resolve => {
    const server = createServer(handler).listen(0, '127.0.0.1', () => resolve(server));
  });

function note(request: IncomingMessage): void {
  const {range, authorization} = request.headers;
  seen.push({url: request.url!, range, authorization});
}

function send(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers = {'content-length': bytes.length - from};
  if (from > 0)
    response.writeHead(206, {...headers, 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`});
  else response.writeHead(200, headers);
  response.end(bytes.subarray(from));
}

/** Weights are redirected to another host, as large files are; small files come from the hub itself. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  note(request);
  const url = decodeURIComponent(request.url!);
  if (misbehave(request, response, Buffer.alloc(0))) return;
  if (url.startsWith('/api/models/some/model/revision/main')) {
    const siblings = [...files].map(([rfilename, bytes]) => ({
      rfilename,
      size: bytes.length,
      blobId: gitSha1(bytes),
      ...(rfilename.endsWith('.safetensors') ? {lfs: {sha256: sha256(bytes), size: bytes.length}} : {}),
    }));
    response.writeHead(200, {'content-type': 'application/json'}).end(JSON.stringify({sha: commit, siblings}));
    return;
  }
  const name = url.replace(`/some/model/resolve/${commit}/`, '');
  const bytes = files.get(name);
  if (!bytes) return void response.writeHead(404).end();
  if (name.endsWith('.safetensors')) return void response.writeHead(302, {location: `${address(store)}/${name}`}).end();
  send(request, response, bytes);
}

beforeAll(async () => {
  await writeModelFolder(model);
  hub = await listen(answer);
  store = await listen((request, response) => {
    note(request);
    const bytes = files.get(decodeURIComponent(request.url!.slice(1)))!;
    if (!misbehave(request, response, bytes)) send(request, response, bytes);
  });
});
afterAll(() => {
  hub.closeAllConnections();
  store.closeAllConnections();
  hub.close();
  store.close();
  rmSync(folder, {recursive: true});
});
beforeEach(() => {
  seen = [];
  misbehave = () => false;
  const names = readdirSync(model, {recursive: true, encoding: 'utf8'}).filter(name => /\.\w+$/.test(name));
  files = new Map(names.map(name => [name, readFileSync(path.join(model, name))]));
  files.set('README.md', Buffer.from('not fetched'));
  files.set('unet/diffusion_pytorch_model.fp16.safetensors', Buffer.from('not fetched'));
  files.set('unet/diffusion_pytorch_model.bin', Buffer.from('not fetched'));
});
afterEach(() => expect(seen.some(({url}) => /README|fp16|\.bin/.test(url))).toBe(false));

const environment = (more: Record<string, string> = {}) => ({
  HF_ENDPOINT: address(hub),
  HF_HOME: path.join(folder, `home-${counter}`),
  ...more,
});
function fresh(more: Record<string, string> = {}) {
  counter++;
  return {settings: hubSettings(environment(more)), waitMs: 1};
}
const weights = 'unet/diffusion_pytorch_model.safetensors';

test('a model is fetched once, into the usual cache, and imported', async () => {
  const options = fresh({HF_TOKEN: 'secret'});
  const snapshot = await fetchModels('some/model', options);
  expect(snapshot).toBe(path.join(options.settings.cache, 'models--some--model', 'snapshots', commit));
  expect(readlinkSync(path.join(snapshot, weights))).toBe(`../../../blobs/${sha256(files.get(weights)!)}`);
  expect(readFileSync(path.join(snapshot, '../../refs/main'), 'utf8')).toBe(commit);
  const out = path.join(folder, 'imported');
  await importModels({source: snapshot, out});
  expect(readFileSync(path.join(out, weights)).equals(files.get(weights)!)).toBe(true);
  // The token goes to the hub and not to the host that it redirects to.
  expect(seen.filter(({url}) => url.startsWith(`/${weights}`)).map(({authorization}) => authorization)).toEqual([
    undefined,
  ]);
  expect(seen.filter(({url}) => url.startsWith('/api')).map(({authorization}) => authorization)).toEqual([
    'Bearer secret',
  ]);

  seen = [];
  await fetchModels('some/model', options);
  expect(seen.map(({url}) => url.split('?')[0])).toEqual(['/api/models/some/model/revision/main']);
  const offline = hubSettings(environment({HF_HUB_OFFLINE: '1'}));
  expect(await fetchModels('some/model', {settings: offline})).toBe(snapshot);
  await expect(fetchModels('some/other', {settings: offline})).rejects.toThrow('not in the cache');
});

test('a cut connection is resumed where it broke off', async () => {
  let cuts = 0;
  misbehave = (request, response, bytes) => {
    if (request.url !== `/${weights}` || cuts >= 3) return false;
    cuts++;
    const from = Number(/\d+/.exec(request.headers.range ?? '0')![0]);
    response.writeHead(from > 0 ? 206 : 200, {'content-length': bytes.length - from});
    response.write(bytes.subarray(from, from + 1000), () => setTimeout(() => response.destroy(), 150)); // time for a busy reader
    return true;
  };
  const snapshot = await fetchModels('some/model', fresh());
  expect(readFileSync(path.join(snapshot, weights)).equals(files.get(weights)!)).toBe(true);
  const ranges = seen.filter(({url}) => url === `/${weights}`).map(({range}) => range);
  expect(ranges).toEqual([undefined, 'bytes=1000-', 'bytes=2000-', 'bytes=3000-']);
});

test('a killed download goes on in the next run', async () => {
  const options = fresh();
  const snapshot = await fetchModels('some/model', options);
  const blob = path.join(snapshot, '../../blobs', sha256(files.get(weights)!));
  // What a kill leaves: a part under the temporary name.
  const {renameSync} = await import('node:fs');
  renameSync(blob, `${blob}.incomplete`);
  truncateSync(`${blob}.incomplete`, 500);
  seen = [];
  await fetchModels('some/model', options);
  expect(seen.filter(({url}) => url === `/${weights}`).map(({range}) => range)).toEqual(['bytes=500-']);
  expect(readFileSync(blob).equals(files.get(weights)!)).toBe(true);
});

describe('a hub that misbehaves', () => {
  test('busy for a while', async () => {
    let busy = 2;
    misbehave = (_, response) => {
      if (busy-- <= 0) return false;
      response.writeHead(503).end();
      return true;
    };
    await fetchModels('some/model', fresh());
  });

  test('other bytes than promised are never put in place', async () => {
    misbehave = (request, response, bytes) => {
      if (request.url !== `/${weights}`) return false;
      response.writeHead(200).end(Buffer.alloc(bytes.length));
      return true;
    };
    const options = fresh();
    await expect(fetchModels('some/model', options)).rejects.toThrow('its hash differs, twice');
    const blobs = readdirSync(path.join(options.settings.cache, 'models--some--model', 'blobs'));
    expect(blobs).not.toContain(sha256(files.get(weights)!));
  });

  test('more or fewer bytes than promised, time and again', async () => {
    misbehave = (request, response) => {
      if (request.url !== `/${weights}`) return false;
      response.writeHead(200).end('short');
      return true;
    };
    await expect(fetchModels('some/model', fresh())).rejects.toThrow('broke off 6 times');
  });

  test.each([
    [401, 'set HF_TOKEN'],
    [403, 'set HF_TOKEN'],
    [404, 'check the name and the revision'],
  ])('%i', async (status, words) => {
    misbehave = (_, response) => {
      response.writeHead(status).end();
      return true;
    };
    await expect(fetchModels('some/model', fresh())).rejects.toThrow(words);
    expect(seen.length).toBe(1);
  });

  test('no hub at all', async () => {
    const settings = {...hubSettings(environment()), endpoint: 'http://127.0.0.1:1'};
    await expect(fetchModels('some/model', {settings, waitMs: 1})).rejects.toThrow('cannot be reached');
  });

  test('a listing that leads out of the cache is refused', () => {
    const lists = (rfilename: string) => () =>
      parseListing({sha: commit, siblings: [{rfilename, size: 1, blobId: commit}]}, 'the hub');
    for (const name of ['../x', '/etc/passwd', 'a/../../b', 'a\\b', '', 'a//b'])
      expect(lists(name), name).toThrow('a file named');
    expect(lists('unet/config.json')).not.toThrow();
    expect(() => parseListing({sha: 'main', siblings: []}, 'the hub')).toThrow('no commit');
    expect(() => parseListing([], 'the hub')).toThrow('no JSON object');
  });
});

test('names and variants that are none', async () => {
  await expect(fetchModels('model', fresh())).rejects.toThrow('names no model');
  await expect(fetchModels('some/model', {...fresh(), revision: '../x'})).rejects.toThrow('no branch');
  await expect(fetchModels('some/model', {...fresh(), variant: 'int8'})).rejects.toThrow('choose another --variant');
  files = new Map([['v1.safetensors', Buffer.from('x')]]);
  await expect(fetchModels('some/model', fresh())).rejects.toThrow('hf:OWNER/NAME/FILE');
  expect(path.basename(await fetchModels('some/model/v1.safetensors', fresh()))).toBe('v1.safetensors');
});

test('where the cache is, by the usual variables', () => {
  expect(hubSettings({HF_HUB_CACHE: '/c', HF_HOME: '/h'}).cache).toBe('/c');
  expect(hubSettings({HF_HOME: '/h'}).cache).toBe('/h/hub');
  expect(hubSettings({XDG_CACHE_HOME: '/x'}).cache).toBe('/x/huggingface/hub');
  expect(hubSettings({}).endpoint).toBe('https://huggingface.co');
  expect(() => hubSettings({HF_ENDPOINT: 'ftp://x'})).toThrow('HF_ENDPOINT');
});
