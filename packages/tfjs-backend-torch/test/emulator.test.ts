// What the emulator of the GPU's kernels finds: kernels with one fault each, compiled here with the emulator alone.
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../src/built.ts';

const device = fileURLToPath(new URL('../native/device', import.meta.url));
const planted = fileURLToPath(new URL('fixtures/planted_faults.cc', import.meta.url));
const apart = 'with no barrier between them';

const found: Record<string, RegExp> = {
  'no barrier after a write': new RegExp(
    `thread (\\d+) (reads|writes) word \\d+ of shared memory, which thread \\d+ (wrote|read) ${apart}`,
  ),
  'no barrier before the next write': new RegExp(`which thread \\d+ (wrote|read) ${apart}`),
  'two writers': new RegExp(`thread \\d+ writes word \\d+ of shared memory, which thread \\d+ wrote ${apart}`),
  'a barrier in one of two steps': new RegExp(`which thread \\d+ (wrote|read) ${apart}`),
  'a sum of lanes for a barrier': new RegExp(`which thread \\d+ (wrote|read) ${apart}`),
  'doubles that overlap floats': new RegExp(
    `thread [01] writes word 3 of shared memory, which thread [01] wrote ${apart}`,
  ),
  'beyond the end': /thread 63 writes word 64 of shared memory; the launch asked for 256 bytes, 64 words/,
  'beyond the end by half a double': /thread 63 writes word 127 of shared memory; the launch asked for 508 bytes/,
  'before the beginning': /thread 0 writes word -1 of shared memory/,
  'what nobody wrote': /thread 0 reads word 9 of shared memory, which no thread of the block has written/,
  'what the block before wrote':
    /block [12]: thread \d+ reads word \d+ of shared memory, which no thread of the block has written/,
  'unaligned load': /takes 16 bytes at once at an address 4 bytes beyond/,
  'unaligned store': /takes 8 bytes at once at an address 4 bytes beyond/,
  aligned: /^nothing$/,
  'a barrier of some':
    /thread 0 waits at the barrier in planted_faults.cc:\d+, thread 16 has ended: all threads of a block/,
  'an exit before a barrier': /thread 0 waits at the barrier in planted_faults.cc:\d+, thread 41 has ended/,
  'two barriers':
    /thread 0 waits at the barrier in planted_faults.cc:\d+, thread 32 waits at the barrier in planted_faults.cc:\d+/,
  'barriers, one more for some': /thread 0 has ended, thread 50 waits at the barrier/,
  'a sum of some lanes':
    /thread 0 waits at the sum of 8 lanes in planted_faults.cc:\d+, thread 8 has ended: all threads of a warp/,
  'sums of unlike lanes': /thread 0 waits at the sum of 16 lanes .*, thread 16 waits at the sum of 8 lanes/,
  'a warp that is not full': /thread 3\d is in a warp of 8 threads/,
  'a sum of one warp, then a barrier': /^nothing$/,
  threads: /^the launch of Planted has 1056 threads a block: a GPU takes 1 to 1024$/,
  'shared memory': /^the launch of Planted has 49156 bytes of shared memory a block: a GPU takes 0 to 49152$/,
  blocks: /^the launch of Planted has 2147483648 blocks: a GPU takes 1 to 2147483647$/,
  'no blocks': /^the launch of Planted has 0 blocks/,
  'the largest': /^nothing$/,
  sums: /^right$/,
};

// Where the addon is built there is a compiler.
describe.skipIf(!isBuilt())('the emulator', () => {
  const folder = mkdtempSync(join(tmpdir(), 'emulator-'));
  const said = new Map<string, string>();
  beforeAll(() => {
    const program = join(folder, 'planted_faults');
    const sources = [planted, join(device, 'emulator.cc'), join(device, 'shared_memory.cc')];
    const compiled = spawnSync(
      process.env.CXX ?? 'c++',
      ['-std=c++17', '-Wall', '-I', device, ...sources, '-o', program],
      {
        encoding: 'utf8',
      },
    );
    expect(compiled.stderr).toBe('');
    const {stdout, status} = spawnSync(program, {encoding: 'utf8'});
    expect(status).toBe(0);
    for (const line of stdout.trimEnd().split('\n')) said.set(...(line.split('\t') as [string, string]));
  });
  afterAll(() => rmSync(folder, {recursive: true}));

  for (const [name, expected] of Object.entries(found)) {
    test(name, () => {
      expect(said.get(name)).toMatch(expected);
    });
  }
  test('the order is the seed’s: of blocks, and of threads anew after a barrier', () => {
    const order = said.get('order of seed 1')!;
    expect(said.get('again')).toBe(order);
    expect(said.get('order of seed 2')).not.toBe(order);
    const [threads, after] = [order.match(/(?<=\.)\d/g)!, order.match(/(?<=^| )\d(?= )/g)!];
    expect(threads).toHaveLength(12);
    expect(after).toHaveLength(12);
    expect(after).not.toEqual(threads);
    expect([...threads].sort().join('')).toBe('000111222333');
  });
});
