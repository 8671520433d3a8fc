// Shards made by Python's tarfile are read, and what the writer makes is read by tarfile and by tar-stream.
import {execFileSync, spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {Readable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import {extract} from 'tar-stream';
import {describe, expect, test} from 'vitest';
import {openShardWriter, readShards} from '../src/index.ts';
import {collect, temporaryFolder, text} from './helpers.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const hasPython = spawnSync('python3', ['-c', 'import tarfile']).status === 0;
const folder = temporaryFolder();
const LONG = `folder/${'long-name-'.repeat(9)}/${'deep-'.repeat(10)}end`;

describe.each(['ustar.tar', 'gnu.tar', 'pax.tar', 'pax.tar.gz'])('%s, written by tarfile', name => {
  test('gives the samples in order, with their bytes', async () => {
    const samples = await collect(readShards({urls: fixture(name)}));
    expect(samples.map(({key, members}) => [key, Object.keys(members)])).toEqual([
      ['000000', ['jpg', 'json', 'cls']],
      ['dir.v1/000001', ['mp4', 'txt']],
      [LONG, ['txt', 'seg.png']],
      ['café/猫', ['txt']],
      ['empty', ['bin']],
    ]);
    const [first, second, third, , empty] = samples;
    expect(first!.members.jpg).toEqual(Uint8Array.from({length: 768}, (_, index) => index % 256));
    expect(JSON.parse(text(first!.members.json))).toEqual({index: 0});
    expect(second!.members.mp4).toEqual(new Uint8Array(512));
    expect(text(second!.members.txt)).toBe('a caption with é and 猫');
    expect(text(third!.members['seg.png'])).toBe('png');
    expect(empty!.members.bin).toHaveLength(0);
  });

  test('resumes after every sample', async () => {
    const all = await collect(readShards({urls: fixture(name)}));
    for (const [index, {state}] of all.entries()) {
      expect(await collect(readShards({urls: fixture(name), state}))).toEqual(all.slice(index + 1));
    }
  });
});

const KEYS = [
  'plain',
  'a/b',
  `deep/${'x'.repeat(120)}/y`,
  'z'.repeat(180),
  'ünï/猫',
  `${'p'.repeat(150)}/${'q'.repeat(90)}`,
];

async function writeAll(path: string, gzip: boolean): Promise<Record<string, string>> {
  const writer = openShardWriter({path: () => path, gzip});
  const expected: Record<string, string> = {};
  for (const [index, key] of KEYS.entries()) {
    const members = {
      txt: `caption ${index} é`,
      json: {index},
      cls: index,
      'a.bin': new Uint8Array(index * 300).fill(65),
    };
    await writer.write({key, members});
    expected[`${key}.a.bin`] = 'A'.repeat(index * 300);
    expected[`${key}.cls`] = String(index);
    expected[`${key}.json`] = JSON.stringify({index});
    expected[`${key}.txt`] = `caption ${index} é`;
  }
  await writer.close();
  return expected;
}

const READ = `
import json, sys, tarfile
with tarfile.open(sys.argv[1], "r|*") as tar:
    json.dump([[m.name, tar.extractfile(m).read().decode()] for m in tar if m.isreg()], sys.stdout)
`;

describe.skipIf(!hasPython)('tarfile (skipped where there is no python3)', () => {
  test.each([false, true])('reads what the writer makes, gzip %s', async gzip => {
    const path = folder.path(`python-${gzip}.tar`);
    const expected = await writeAll(path, gzip);
    const found: [string, string][] = JSON.parse(execFileSync('python3', ['-c', READ, path], {encoding: 'utf8'}));
    expect(found).toEqual(Object.entries(expected));
  });
});

test('tar-stream reads what the writer makes', async () => {
  const path = folder.path('tar-stream.tar');
  const expected = await writeAll(path, false);
  const found: [string, string][] = [];
  for await (const entry of Readable.from([readFileSync(path)]).pipe(extract())) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(Buffer.from(chunk as Uint8Array));
    found.push([entry.header.name, Buffer.concat(chunks).toString('utf8')]);
  }
  expect(found).toEqual(Object.entries(expected));
});
