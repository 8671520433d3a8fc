// Resume at every sample, through every stage: the remaining samples, no more, no fewer, in the same order.
import fc from 'fast-check';
import {beforeAll, describe, expect, test} from 'vitest';
import {
  batch,
  collectErrors,
  decode,
  interleave,
  type JsonValue,
  map,
  mix,
  prefetch,
  type ReadShardsOptions,
  readShards,
  repeat,
  type Sample,
  type Source,
  type Stated,
  shardOrder,
  shardSource,
  shareOf,
  shuffle,
  type WebDatasetError,
} from '../src/index.ts';
import {
  collect,
  errorOf,
  keysOf,
  load,
  patchHeader,
  readKeys,
  saveAs,
  temporaryFolder,
  thawed,
  writeShards,
} from './helpers.ts';

const folder = temporaryFolder();
const COUNTS = [5, 1, 7, 0, 3, 6, 4];
const TOTAL = COUNTS.reduce((sum, count) => sum + count);
let plain: string[];
let packed: string[];

beforeAll(async () => {
  plain = await writeShards(folder.path('plain-%d.tar'), COUNTS);
  // A writer makes no shard without samples: an empty tar is two blocks of zeros.
  plain[3] = await saveAs(folder.path('plain-3.tar'), new Uint8Array(1024));
  packed = await writeShards(folder.path('packed-%d.tar.gz'), [4, 3, 5], {gzip: true});
});

/** Every suffix of the stream is what its states resume to. */
async function expectResumable<T extends Stated & {key: string}>(
  source: Source<T>,
  length?: number,
): Promise<string[]> {
  const all = await collect(source());
  if (length !== undefined) expect(all).toHaveLength(length);
  for (const [index, {state}] of all.entries()) {
    const rest = await collect(source(thawed(state)));
    expect(rest).toEqual(all.slice(index + 1));
  }
  return keysOf(all);
}

describe('one epoch of shards', () => {
  test.each([undefined, 0, 7])('resumes after every sample, seed %s', async seed => {
    const keys = await expectResumable(shardSource({urls: plain, ...(seed === undefined ? {} : {seed})}), TOTAL);
    expect(new Set(keys).size).toBe(TOTAL);
  });

  test("resumes in gzip'd shards", () => expectResumable(shardSource({urls: packed, seed: 1}), 12));

  test('has an order for each (seed, epoch)', async () => {
    const epochs = [0, 1, 2].flatMap(seed => [0, 1, 2].map(epoch => ({urls: plain, seed, epoch})));
    expect(new Set(epochs.map(options => shardOrder(options).join())).size).toBe(9);
    const orders = await Promise.all(epochs.map(readKeys));
    expect(orders.map(order => order.toSorted())).toEqual(orders.map(() => orders[0]!.toSorted()));
    expect(await readKeys({urls: plain, seed: 2, epoch: 2})).toEqual(orders[8]);
  });

  test('resumes past bad samples and bad shards alike', async () => {
    const bytes = await load(plain[2]!);
    patchHeader(bytes, 0, 0, '/');
    const spoiled = await saveAs(folder.path('spoiled.tar'), bytes);
    const cut = await saveAs(folder.path('cut.tar'), (await load(plain[5]!)).slice(0, 3000));
    const urls = [plain[0]!, spoiled, cut, plain[6]!];
    const list: WebDatasetError[] = [];
    const keys = await expectResumable(shardSource({urls, onError: collectErrors(list)}));
    expect(keys.filter(key => key.startsWith('s6'))).toHaveLength(4);
    expect(new Set(list.map(error => error.code))).toEqual(new Set(['unsafe-name', 'truncated']));
  });

  test('a state for other shards, another epoch or a changed shard is refused by name', async () => {
    const [sample] = await collect(readShards({urls: plain, seed: 1}));
    const resume = (options: Partial<ReadShardsOptions>) =>
      errorOf(collect(readShards({urls: plain, seed: 1, state: sample!.state, ...options})));
    expect((await resume({urls: plain.slice(1)})).code).toBe('state-mismatch');
    expect((await resume({epoch: 1})).code).toBe('state-mismatch');
    expect((await resume({split: {rank: 0, ranks: 2}})).code).toBe('state-mismatch');
    const wrong: JsonValue[] = [3, null, [], {}, {list: 'x'}];
    for (const state of wrong) expect((await resume({state})).code).toMatch(/^(bad-state|state-mismatch)$/);
    const broken = {...(sample!.state as object), at: -1};
    expect((await resume({state: broken})).code).toBe('bad-state');

    const changing = await saveAs(folder.path('changing.tar'), await load(plain[0]!));
    const second = (await collect(readShards({urls: changing})))[1]!;
    for (const other of [plain[6]!, packed[0]!]) {
      await saveAs(changing, await load(other));
      const error = await errorOf(collect(readShards({urls: changing, state: second.state, onError: () => {}})));
      expect(error).toMatchObject({code: 'state-mismatch', scope: 'run', shard: changing});
    }
  });
});

describe('splits', () => {
  const splits = [1, 2, 4].flatMap(workers => [1, 3, 4].map(ranks => ({ranks, workers})));
  describe.each(['shard', 'sample'] as const)('by %s', by => {
    test.each(splits)('$ranks ranks of $workers workers share every sample once', async ({ranks, workers}) => {
      const urls = by === 'shard' ? [...plain, ...plain, ...packed] : plain;
      const parts = Array.from({length: ranks * workers}, (_, part) => ({
        rank: part % ranks,
        ranks,
        worker: Math.floor(part / ranks),
        workers,
        by,
      }));
      const shares = await Promise.all(parts.map(split => readKeys({urls, seed: 5, split})));
      expect(shares.flat().sort()).toEqual((await readKeys({urls})).sort());
      if (by === 'sample') {
        expect(shares.map(share => share.length)).toEqual(shares.map((_, part) => shareOf(TOTAL, parts.length, part)));
      } else {
        const shards = parts.map(split => shardOrder({urls, seed: 5, split}).length);
        expect(shards).toEqual(parts.map((_, part) => shareOf(urls.length, parts.length, part)));
      }
    });

    test('each part resumes after every sample', async () => {
      for (const rank of [0, 1, 2, 3])
        await expectResumable(shardSource({urls: plain, seed: 2, split: {rank, ranks: 4, by}}));
    });
  });

  test('interleaved, the parts by sample give the order of the whole for any number of workers', async () => {
    const whole = await readKeys({urls: plain, seed: 3});
    for (const workers of [1, 2, 4]) {
      const parts = Array.from({length: workers}, (_, worker) =>
        shardSource({urls: plain, seed: 3, split: {rank: 0, ranks: 1, worker, workers, by: 'sample'}}),
      );
      expect(await expectResumable(interleave(parts), TOTAL)).toEqual(whole);
    }
  });

  test('more readers than shards are refused with the way out', async () => {
    const error = await errorOf(collect(readShards({urls: plain[0]!, split: {rank: 0, ranks: 2}})));
    expect(error).toMatchObject({code: 'bad-option'});
    expect(error.message).toContain("'sample'");
  });
});

describe('stages with a memory', () => {
  const source = () => shardSource({urls: plain, seed: 1});

  test.each([1, 3, 8, 100])('shuffle in windows of %d', async window => {
    const keys = await expectResumable(shuffle(source(), {seed: 4, window}), TOTAL);
    expect(keys.toSorted()).toEqual((await readKeys({urls: plain})).toSorted());
    if (window > 1) expect(keys).not.toEqual(await readKeys({urls: plain, seed: 1}));
  });

  test('shuffle closes a window at its limit of bytes', async () => {
    const keys = await expectResumable(shuffle(source(), {seed: 4, window: 100, windowBytes: 1500}), TOTAL);
    expect(new Set(keys).size).toBe(TOTAL);
    expect(keys).not.toEqual(keysOf(await collect(shuffle(source(), {seed: 4, window: 100})())));
  });

  test('shuffle reads no more than a window ahead', async () => {
    let read = 0;
    const counted: Source<Sample> = async function* (state) {
      for await (const sample of source()(state)) {
        read++;
        yield sample;
      }
    };
    let given = 0;
    for await (const _ of shuffle(counted, {seed: 1, window: 5})()) expect(read - given++).toBeLessThanOrEqual(6);
    expect(given).toBe(TOTAL);
  });

  test.each(['all', 'first'] as const)('mix until %s', async until => {
    const parts = [plain.slice(0, 3), plain.slice(3), packed].map((urls, index) => ({
      source: shardSource({urls}),
      weight: index + 0.5,
    }));
    const keys = await expectResumable(mix(parts, {seed: 9, until}));
    if (until === 'all') expect(keys.toSorted()).toEqual((await readKeys({urls: [...plain, ...packed]})).toSorted());
    else expect(keys.length).toBeLessThan(TOTAL + 12);
  });

  test('mix keeps to the weights', async () => {
    const endless = (key: string): Source<Stated & {key: string}> =>
      async function* () {
        for (let state = 0; ; state++) yield {key, state};
      };
    let first = 0;
    let total = 0;
    for await (const {key} of mix(
      [
        {source: endless('a'), weight: 3},
        {source: endless('b'), weight: 1},
      ],
      {seed: 1},
    )()) {
      if (key === 'a') first++;
      if (++total === 20_000) break;
    }
    expect(first / total).toBeGreaterThan(0.74);
    expect(first / total).toBeLessThan(0.76);
  });

  test('everything at once, over epochs', async () => {
    const epochs = repeat(
      epoch =>
        mix(
          [
            {source: shuffle(shardSource({urls: plain, seed: 1, epoch}), {seed: 1, epoch, window: 6}), weight: 2},
            {source: shardSource({urls: packed, seed: 1, epoch}), weight: 1},
          ],
          {seed: 1, epoch},
        ),
      {epochs: 2},
    );
    const keys = await expectResumable(epochs, 2 * (TOTAL + 12));
    expect(keys.slice(0, TOTAL + 12)).not.toEqual(keys.slice(TOTAL + 12));
    expect(keys.slice(0, TOTAL + 12).toSorted()).toEqual(keys.slice(TOTAL + 12).toSorted());
  });

  test('an epoch without samples is an error, not an endless loop', async () => {
    const error = await errorOf(collect(repeat(() => shardSource({urls: plain[3]!}))()));
    expect(error.code).toBe('empty-epoch');
  });
});

test('batches of decoded samples resume after every batch', async () => {
  const batches = (state?: Parameters<Source<Sample>>[0]) => {
    const samples = decode(shuffle(shardSource({urls: plain, seed: 1}), {seed: 1, window: 4})(state));
    return batch(
      prefetch(
        map(samples, async ({key, members}) => ({key, index: members.json}), {concurrency: 3}),
        2,
      ),
      4,
    );
  };
  const all = await collect(batches());
  expect(all.map(({samples}) => samples.length)).toEqual([4, 4, 4, 4, 4, 4, 2]);
  for (const [index, {state}] of all.entries())
    expect(await collect(batches(thawed(state)))).toEqual(all.slice(index + 1));
});

test('any shards, split, window and weights resume anywhere', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        counts: fc.array(fc.integer({min: 1, max: 6}), {minLength: 1, maxLength: 5}),
        seed: fc.nat(),
        ranks: fc.integer({min: 1, max: 3}),
        window: fc.integer({min: 1, max: 9}),
        weight: fc.double({min: 0.1, max: 10, noNaN: true}),
        stop: fc.nat(),
      }),
      async ({counts, seed, ranks, window, weight, stop}) => {
        const urls = await writeShards(folder.path(`any-${run++}-%d.tar`), counts);
        for (let rank = 0; rank < ranks; rank++) {
          const shards = shardSource({urls, seed, split: {rank, ranks, by: 'sample'}});
          const source = mix(
            [
              {source: shuffle(shards, {seed, window}), weight},
              {source: shardSource({urls: plain[0]!}), weight: 1},
            ],
            {seed},
          );
          const all = keysOf(await collect(source()));
          const at = stop % all.length;
          let state = null;
          let index = 0;
          for await (const sample of source()) {
            if (index++ < at) continue;
            state = thawed(sample.state);
            break;
          }
          expect(keysOf(await collect(source(state ?? undefined)))).toEqual(all.slice(at + 1));
        }
      },
    ),
    {numRuns: 40, seed: 5},
  );
});
