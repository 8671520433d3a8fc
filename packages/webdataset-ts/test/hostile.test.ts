// Damaged and hostile shards: a named error for each, the next shard still read, and no memory on the word of a header.
import {gzipSync} from 'node:zlib';
import fc from 'fast-check';
import {beforeAll, describe, expect, test} from 'vitest';
import {collectErrors, type Limits, readShards, type WebDatasetError} from '../src/index.ts';
import {encodeHeader} from '../src/tar_header.ts';
import {
  collect,
  errorOf,
  keysOf,
  load,
  patchHeader,
  readKeys,
  saveAs,
  temporaryFolder,
  text,
  writeShards,
} from './helpers.ts';

const folder = temporaryFolder();
let good: string;
let tar: Uint8Array; // 4 samples of .bin (0, 37, 74, 111 bytes) and .json

beforeAll(async () => {
  good = (await writeShards(folder.path('good-%d.tar'), [4]))[0]!;
  tar = await load(good);
});

let count = 0;
/** Saves an altered copy of the good shard. */
async function altered(change: (bytes: Uint8Array) => unknown): Promise<string> {
  const copy = tar.slice();
  const result = change(copy);
  return saveAs(folder.path(`altered-${count++}.tar`), result instanceof Uint8Array ? result : copy);
}

function member(name: string, data: string | Uint8Array): Uint8Array {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const padding = new Uint8Array((512 - (bytes.length % 512)) % 512);
  return Buffer.concat([...encodeHeader(name, bytes.length, {mode: 0o644, mtime: 0}), bytes, padding]);
}
const END = new Uint8Array(1024);
const archive = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat([...parts, END]));
const extended = (type: string, data: string) => {
  const bytes = member('ext', data);
  patchHeader(bytes, 0, 156, type);
  return bytes;
};

describe('what ends a shard', () => {
  const cases: [string, string, (bytes: Uint8Array) => unknown][] = [
    ['truncated in the data', 'truncated', bytes => bytes.slice(0, 1536 + 520)],
    ['truncated in a header', 'truncated', bytes => bytes.slice(0, 1536 + 100)],
    ['truncated between members, without end mark', 'truncated', bytes => bytes.slice(0, 1536)],
    ['an empty file', 'truncated', () => new Uint8Array(0)],
    ['an HTML page', 'bad-checksum', () => Buffer.from(`<!doctype html>${'x'.repeat(2000)}`)],
    ['a flipped bit in a header', 'bad-checksum', bytes => bytes.set([bytes[1536]! ^ 1], 1536)],
    ['data after the end mark', 'bad-end', bytes => bytes.set(tar.subarray(0, 512), 16 * 512)],
    [
      'a size of 8 EiB',
      'truncated',
      bytes => patchHeader(bytes, 0, 124, Buffer.from('800000000000001fffffffff', 'hex')),
    ],
    [
      'a size beyond 2^53',
      'bad-header',
      bytes => patchHeader(bytes, 0, 124, Buffer.from('80ffffffffffffffffffffff', 'hex')),
    ],
    [
      'a negative size',
      'bad-header',
      bytes => patchHeader(bytes, 0, 124, Buffer.from('ffffffffffffffffffffffff', 'hex')),
    ],
    ['a size that is no number', 'bad-header', bytes => patchHeader(bytes, 0, 124, 'hello world!')],
    ['a sparse file', 'unsupported', bytes => patchHeader(bytes, 0, 156, 'S')],
    [
      'a PAX header of 8 GiB',
      'header-too-large',
      bytes => {
        patchHeader(bytes, 0, 156, 'x');
        patchHeader(bytes, 0, 124, '77777777777\0');
      },
    ],
    [
      'a long name of 2 MiB',
      'header-too-large',
      () => archive(extended('L', 'n'.repeat(2 ** 21)), member('a.txt', '')),
    ],
    [
      'a PAX name of 5000 bytes',
      'header-too-large',
      () => archive(extended('x', `5011 path=${'n'.repeat(5000)}\n`), member('a.txt', '')),
    ],
    ['a malformed PAX record', 'bad-header', () => archive(extended('x', '99 path=x\n'), member('a.txt', ''))],
    ['a PAX size of words', 'bad-header', () => archive(extended('x', '13 size=many\n'), member('a.txt', ''))],
    [
      'a PAX size beyond 2^53',
      'bad-header',
      () => archive(extended('x', '29 size=99999999999999999999\n'), member('a.txt', '')),
    ],
    [
      'a hundred PAX headers in a row',
      'bad-header',
      () => archive(...Array.from({length: 100}, () => extended('x', '9 path=a\n')), member('a.txt', '')),
    ],
    ['a PAX header and then the end', 'bad-end', () => archive(extended('x', '9 path=a\n'))],
    ['zstd', 'bad-compression', () => Buffer.from('28b52ffd00000000', 'hex')],
    ['gzip of nonsense', 'bad-checksum', () => gzipSync(Buffer.alloc(2000, 1))],
    ['truncated gzip', 'truncated', () => gzipSync(tar).subarray(0, 100)],
    ['damaged gzip', 'bad-compression', () => gzipSync(tar).fill(255, 20, 60)],
    [
      'gzip with a wrong checksum at its end',
      'bad-compression',
      () => {
        const packed = gzipSync(tar);
        packed[packed.length - 6]! ^= 255;
        return packed;
      },
    ],
  ];
  test.each(cases)('%s', async (_, code, change) => {
    const path = await altered(change);
    const error = await errorOf(collect(readShards({urls: path})));
    expect(error).toMatchObject({code, scope: 'shard', shard: path});
    expect(error.message).toContain(path);
    // By policy the shard is left and the next one read.
    const list: WebDatasetError[] = [];
    const keys = await readKeys({urls: [path, good], onError: collectErrors(list)});
    expect(list.map(found => found.code)).toEqual([code]);
    expect(keys.slice(-4)).toEqual(await readKeys({urls: good}));
  });

  test('a missing shard, a folder', async () => {
    expect(await errorOf(collect(readShards({urls: folder.path('none.tar')})))).toMatchObject({
      code: 'not-found',
      scope: 'shard',
    });
    expect(await errorOf(collect(readShards({urls: folder.path('')})))).toMatchObject({code: 'io', scope: 'shard'});
  });

  test('the samples before a truncation are given, and its sample is named', async () => {
    const path = await altered(bytes => bytes.slice(0, 1536 + 520));
    const list: WebDatasetError[] = [];
    expect(await readKeys({urls: path, onError: collectErrors(list)})).toEqual(['s0/0000']);
    expect(list[0]).toMatchObject({code: 'truncated', key: 's0/0001'});
  });
});

describe('what spoils one sample', () => {
  const cases: [string, string, string, () => Uint8Array, Partial<Limits>?][] = [
    [
      'a member twice',
      'duplicate-member',
      'a',
      () => archive(member('a.txt', '1'), member('a.TXT', '2'), member('b.txt', '')),
    ],
    ['a name that climbs out', 'unsafe-name', '../a', () => archive(member('../a.txt', '1'), member('b.txt', ''))],
    ['an absolute name', 'unsafe-name', '/etc/a', () => archive(member('/etc/a.txt', '1'), member('b.txt', ''))],
    ['a Windows path', 'unsafe-name', 'c:\\a', () => archive(member('c:\\a.txt', '1'), member('b.txt', ''))],
    [
      'a name that is not UTF-8',
      'unsafe-name',
      '\ufffd',
      () => {
        const bad = member('a.txt', '1');
        patchHeader(bad, 0, 0, Buffer.from([0xff]));
        return archive(bad, member('b.txt', ''));
      },
    ],
    [
      'too many members',
      'too-many-members',
      'a',
      () => archive(...Array.from({length: 9}, (_, index) => member(`a.${index}`, '')), member('b.txt', '')),
      {sampleMembers: 8},
    ],
    [
      'a member too large',
      'member-too-large',
      'a',
      () => archive(member('a.txt', 'x'.repeat(2000)), member('b.txt', '')),
      {memberBytes: 1000},
    ],
    [
      'a sample too large',
      'sample-too-large',
      'a',
      () => archive(member('a.txt', 'x'.repeat(800)), member('a.bin', 'x'.repeat(800)), member('b.txt', '')),
      {memberBytes: 1000, sampleBytes: 1200},
    ],
  ];
  test.each(cases)('%s', async (_, code, key, make, limits = {}) => {
    const path = await altered(make);
    expect(await errorOf(collect(readShards({urls: path, limits})))).toMatchObject({
      code,
      key,
      scope: 'sample',
      shard: path,
    });
    const list: WebDatasetError[] = [];
    expect(await readKeys({urls: path, limits, onError: collectErrors(list)})).toEqual(['b']);
    expect(list.map(error => [error.code, error.key])).toEqual([[code, key]]);
  });

  test("an absurd member in a gzip'd shard ends it rather than being unpacked", async () => {
    const packed = gzipSync(archive(member('a.txt', 'x'.repeat(2000)), member('b.txt', '')));
    const path = await saveAs(folder.path('bomb.tar.gz'), packed);
    expect(await errorOf(collect(readShards({urls: path, limits: {memberBytes: 1000}})))).toMatchObject({
      code: 'member-too-large',
      scope: 'shard',
    });
  });

  test('__proto__ is a member like any other', async () => {
    const path = await altered(() => archive(member('a.__proto__', '1')));
    const [sample] = await collect(readShards({urls: path}));
    expect(Object.keys(sample!.members)).toEqual(['__proto__']);
    expect(Object.values(sample!.members).map(text)).toEqual(['1']);
  });
});

test('names without extension, hidden files and __meta__ belong to no sample; keys may come back', async () => {
  const path = await altered(() =>
    archive(
      member('README', ''),
      member('.hidden.txt', ''),
      member('d/.x.txt', ''),
      member('__a.b__', ''),
      member('a.x', ''),
      member('b.x', ''),
      member('a.y', ''),
    ),
  );
  expect(keysOf(await collect(readShards({urls: path})))).toEqual(['a', 'b', 'a']);
});

test('a stream that promises a gigabyte and holds nothing costs little memory', async () => {
  const lie = member('a.bin', '');
  patchHeader(lie, 0, 124, '07777777777\0');
  async function* stdin() {
    yield lie;
  }
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const error = await errorOf(
    collect(readShards({urls: '-', stdin: stdin()})).finally(() => {
      most = process.memoryUsage().arrayBuffers - before;
    }),
  );
  expect(error.code).toBe('truncated');
  expect(most).toBeLessThan(64 * 2 ** 20);
});

test('3,000 mutated shards: samples or named errors, never anything else', async () => {
  const seeds = [
    tar,
    archive(extended('L', `${'n'.repeat(150)}.txt`), member('x', 'y')),
    archive(extended('x', '14 path=é.a\n'), member('a.b', 'c')),
    new Uint8Array(gzipSync(tar)),
  ];
  const edit = fc.record({at: fc.nat(), value: fc.nat(255), mend: fc.boolean()});
  const outcomes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(seeds.length - 1),
      fc.array(edit, {minLength: 1, maxLength: 12}),
      fc.option(fc.nat(), {freq: 4}),
      async (which, edits, cut) => {
        let bytes = seeds[which]!.slice();
        for (const {at, value, mend} of edits) {
          // Headers are where it hurts: half of the edits hit the fields of a block and mend its checksum.
          const offset = mend && which < 3 ? (at % Math.floor(Math.min(bytes.length, 4096) / 512)) * 512 : undefined;
          if (offset === undefined) bytes[at % bytes.length] = value;
          else patchHeader(bytes, offset, [0, 100, 124, 128, 135, 156, 257, 345][at % 8]!, Uint8Array.of(value));
        }
        if (cut !== null) bytes = bytes.slice(0, cut % bytes.length);
        async function* stdin() {
          yield bytes;
        }
        const list: WebDatasetError[] = [];
        await collect(readShards({urls: '-', stdin: stdin(), onError: collectErrors(list)}));
        for (const {code} of list) outcomes.add(code);
      },
    ),
    {numRuns: 3000, seed: 20261123},
  );
  expect(outcomes.size).toBeGreaterThan(5);
}, 60_000);
