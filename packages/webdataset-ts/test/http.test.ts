// Remote shards from a server that answers 503, cuts connections, stalls and lies about lengths: every sample exactly once.
import {createHash, createHmac} from 'node:crypto';
import type {IncomingMessage} from 'node:http';
import fc from 'fast-check';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import {type ReadShardsOptions, readShards, shardSource} from '../src/index.ts';
import {collect, errorOf, load, readKeys, temporaryFolder, thawed, writeShards} from './helpers.ts';
import {type Fault, type HostileServer, startServer} from './hostile_server.ts';

const folder = temporaryFolder();
const files = new Map<string, Uint8Array>();
let server: HostileServer;
let expected: string[];
const quick = {retries: 4, retryDelay: 1, stallTimeout: 200};

beforeAll(async () => {
  const paths = await writeShards(folder.path('%d.tar'), [6, 5, 7], {bytes: 900});
  for (const [index, path] of paths.entries()) files.set(`${index}.tar`, await load(path));
  expected = await readKeys({urls: paths});
  server = await startServer(files);
});
afterAll(() => server.close());
afterEach(() => {
  server.faults = [];
  server.always = 'good';
  server.after = 3000;
  server.requests.length = 0;
});

const shards = (): ReadShardsOptions => ({urls: [0, 1, 2].map(index => server.url(`${index}.tar`)), http: quick});
const read = (options: Partial<ReadShardsOptions> = {}) => readKeys({...shards(), ...options});

describe('an epoch delivers every sample exactly once although the server', () => {
  const cases: [Fault, string?][] = [
    ['good'],
    ['503'],
    ['429'],
    ['hang up'],
    ['stall before the header'],
    ['stall in the body'],
    ['cut'],
    ['length too large'],
    ['length too small'],
    ['no ranges'],
    ['wrong range'],
    ['chunked'],
  ];
  test.each(cases)('answers with: %s', async fault => {
    server.faults = ['good', 'cut', fault, fault, 'good', 'cut', fault];
    expect(await read()).toEqual(expected);
  });

  test('cuts every answer of a large shard, and only the rest is asked for again', async () => {
    const [path] = await writeShards(folder.path('large-%d.tar'), [8], {bytes: 50_000});
    files.set('large.tar', await load(path!));
    server.always = 'cut';
    server.after = 70_000;
    expect(await readKeys({urls: server.url('large.tar'), http: quick})).toHaveLength(8);
    const starts = server.requests.map(({range}) => Number(/\d+/.exec(range ?? '0')![0]));
    expect(starts.length).toBeGreaterThan(4);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  });

  test('does any of this in any order, at any byte', async () => {
    const faults: Fault[] = ['503', 'hang up', 'cut', 'length too large', 'length too small', 'no ranges', 'chunked'];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...faults), {maxLength: 4}),
        fc.integer({min: 1, max: 12_000}),
        async (list, after) => {
          server.faults = [...list];
          server.after = after;
          expect(await read({http: {...quick, retries: 8}})).toEqual(expected);
        },
      ),
      {numRuns: 60, seed: 3},
    );
  });
});

describe('what cannot be mended is named, and left by policy', () => {
  const cases: [Fault, string][] = [
    ['404', 'not-found'],
    ['403', 'forbidden'],
    ['418', 'http-status'],
    ['503', 'network'],
    ['hang up', 'network'],
  ];
  test.each(cases)('%s is %s', async (fault, code) => {
    server.always = fault;
    const started = Date.now();
    const error = await errorOf(collect(readShards({...shards(), http: {...quick, retries: 2}})));
    expect(error).toMatchObject({code, scope: 'shard', shard: server.url('0.tar')});
    expect(Date.now() - started).toBeLessThan(5000);
  });

  test('a shard replaced while it is read', async () => {
    server.faults = ['cut', 'other etag'];
    expect((await errorOf(collect(readShards(shards())))).code).toBe('shard-changed');
  });

  test('a shard cut short for good, although its length agrees', async () => {
    files.set('short.tar', files.get('0.tar')!.slice(0, 4000));
    expect((await errorOf(collect(readShards({urls: server.url('short.tar'), http: quick})))).code).toBe('truncated');
  });

  test('the other shards go on', async () => {
    const urls = [server.url('none.tar'), server.url('1.tar')];
    expect(await read({urls, onError: () => {}})).toEqual(expected.filter(key => key.startsWith('s1')));
  });

  test('waits as long as Retry-After asks', async () => {
    server.faults = ['503 with Retry-After'];
    const started = Date.now();
    await read();
    expect(Date.now() - started).toBeGreaterThan(950);
  });
});

test('resumes after every sample by a Range request', async () => {
  const source = shardSource({...shards(), seed: 2});
  const all = await collect(source());
  for (const [index, {state}] of all.entries()) {
    server.requests.length = 0;
    expect(await collect(source(thawed(state)))).toEqual(all.slice(index + 1));
    const {at} = state as {at: number};
    expect(server.requests[0]!.range).toBe(at > 0 ? `bytes=${at}-` : undefined);
  }
});

test('signatures and passwords stay out of names and states, and do not change what a state means', async () => {
  const signed = (signature: string) => ({
    urls: [0, 1].map(index => `${server.url(`${index}.tar`).replace('//', '//me:secret@')}?signature=${signature}`),
    http: quick,
  });
  // The server's files have no query in their names.
  for (const index of [0, 1])
    for (const signature of ['a', 'b']) files.set(`${index}.tar?signature=${signature}`, files.get(`${index}.tar`)!);
  const [first] = await collect(readShards(signed('a')));
  expect(first!.shard).toBe(server.url('0.tar'));
  expect(server.requests[0]!.headers.authorization).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`);
  expect(JSON.stringify(first!.state)).not.toMatch(/secret|signature/);
  const rest = await readKeys({...signed('b'), state: first!.state});
  expect(rest).toEqual(expected.filter(key => !key.startsWith('s2')).slice(1));
});

test('follows redirects, without the Authorization to another host', async () => {
  const redirect = new Map([['/0.tar', server.url('0.tar').replace('127.0.0.1', 'localhost')]]);
  const other = await startServer(new Map(), {redirect});
  const keys = await readKeys({
    urls: other.url('0.tar'),
    http: {...quick, headers: {authorization: 'Bearer x'}},
  }).finally(other.close);
  expect(keys).toEqual(expected.filter(key => key.startsWith('s0')));
  expect(other.requests[0]!.headers.authorization).toBe('Bearer x');
  expect(server.requests[0]!.headers.authorization).toBeUndefined();
});

describe('s3', () => {
  const account = {accessKeyId: 'AKIATEST', secretAccessKey: 'secret/key+x', region: 'eu-test-1'};
  const KEY = "a b/+%(x)!'*=é/0.tar";

  /** Checks a signature, version 4, from its definition; gives the reason to refuse the request. */
  function refusal(request: IncomingMessage): string | undefined {
    const parts = /^AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\w+)$/.exec(
      request.headers.authorization ?? '',
    );
    if (!parts) return 'no signature';
    const [id, day, region, service] = parts[1]!.split('/');
    const date = String(request.headers['x-amz-date']);
    const path = decodeURIComponent(request.url!)
      .split('/')
      .map(part => encodeURIComponent(part).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`))
      .join('/');
    const names = parts[2]!.split(';');
    const canonical = [
      'GET',
      path,
      '',
      ...names.map(name => `${name}:${request.headers[name]}`),
      '',
      parts[2],
      request.headers['x-amz-content-sha256'],
    ].join('\n');
    const scope = `${day}/${region}/${service}/aws4_request`;
    const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
    const key = hmac(hmac(hmac(hmac(`AWS4${account.secretAccessKey}`, day!), region!), service!), 'aws4_request');
    if (id !== account.accessKeyId || region !== account.region || service !== 's3') return 'wrong credential';
    return hmac(key, text).toString('hex') === parts[3] ? undefined : 'wrong signature';
  }

  test('reads a signed, path-style endpoint, each Range signed anew', async () => {
    const store = await startServer(new Map([[`bucket/${KEY}`, files.get('0.tar')!]]), {check: refusal});
    store.faults = ['cut', '503', 'cut'];
    const s3 = {...account, endpoint: store.url('')};
    try {
      expect(await readKeys({urls: `s3://bucket/${KEY}`, s3, http: quick})).toEqual(
        expected.filter(key => key.startsWith('s0')),
      );
      expect(store.requests.map(({range}) => range)).toEqual([undefined, 'bytes=3000-', 'bytes=3000-', 'bytes=6000-']);
      const wrong = errorOf(
        collect(readShards({urls: `s3://bucket/${KEY}`, s3: {...s3, secretAccessKey: 'other'}, http: quick})),
      );
      expect(await wrong).toMatchObject({code: 'forbidden', shard: `s3://bucket/${KEY}`});
    } finally {
      await store.close();
    }
  });

  test('says which keys are missing', async () => {
    const s3 = {accessKeyId: '', secretAccessKey: ''};
    const error = await errorOf(collect(readShards({urls: 's3://bucket/x.tar', s3})));
    expect(error).toMatchObject({code: 'bad-option'});
    expect(error.message).toContain('AWS_SECRET_ACCESS_KEY');
  });
});
