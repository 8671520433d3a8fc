// What ranks know of each other: their places from the environment, one configuration, positions in the data, one failure.
import {expect, test} from 'vitest';
import {alone, type Group} from '../../src/engine/index.ts';
import {
  firstFailure,
  fromRankZero,
  positionOfRank,
  positionsOfRanks,
  refuseDisagreement,
} from '../../trainers/ranks/agree.ts';
import {environmentOf, placeFromEnvironment} from '../../trainers/ranks/place.ts';

const place = {rank: 5, worldSize: 8, localRank: 1, localWorldSize: 4, address: 'host-a', port: 29_500};

/** Ranks of one process, that gather text. */
function ranksOf(worldSize: number): Group[] {
  const rounds: {said: string[]; waiting: ((all: string[]) => void)[]}[] = [];
  return Array.from({length: worldSize}, (_, rank) => {
    let round = 0;
    const allGatherText = (text: string) => {
      rounds[round] ??= {said: [], waiting: []};
      const now = rounds[round++]!;
      now.said[rank] = text;
      return new Promise<string[]>(resolve => {
        now.waiting.push(resolve);
        if (now.waiting.length === worldSize) for (const go of now.waiting) go(now.said);
      });
    };
    return {...alone, rank, worldSize, allGatherText};
  });
}

const settled = async (work: Promise<unknown>[]) =>
  (await Promise.allSettled(work)).map(one => (one.status === 'rejected' ? String(one.reason.message) : one.value));

test('a place as torchrun says it, and as it is said to others', () => {
  expect(placeFromEnvironment(environmentOf(place))).toEqual(place);
  expect(placeFromEnvironment({})).toBeUndefined();
  expect(placeFromEnvironment({WORLD_SIZE: '1', RANK: '0'})).toBeUndefined();
  const bare = {RANK: '1', WORLD_SIZE: '2', MASTER_ADDR: 'host-a', MASTER_PORT: '29500'};
  expect(placeFromEnvironment(bare)).toEqual({
    rank: 1,
    worldSize: 2,
    address: 'host-a',
    port: 29_500,
    localRank: 0,
    localWorldSize: 1,
  });
  const elastic = {...bare, TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2'};
  expect(placeFromEnvironment(elastic)?.attempt).toBe('video-ldm/2');
});

test.each([
  ['RANK', undefined, 'RANK is not set, expected a whole number from 0 to 7'],
  ['RANK', '8', 'RANK is "8", expected a whole number from 0 to 7'],
  ['RANK', '-1', 'RANK is "-1"'],
  ['WORLD_SIZE', 'many', 'WORLD_SIZE is "many", expected a whole number'],
  ['LOCAL_RANK', '4', 'LOCAL_RANK is "4", expected a whole number from 0 to 3'],
  ['MASTER_PORT', '70000', 'MASTER_PORT is "70000", expected a whole number from 1 to 65535'],
  ['MASTER_ADDR', undefined, 'MASTER_ADDR is not set, expected the host name of rank 0'],
])('%s = %s', (name, value, message) => {
  expect(() => placeFromEnvironment({...environmentOf(place), [name]: value})).toThrow(message);
});

const terms = {
  config: {stage: 'temporal', train: {steps: 5}},
  engine: {name: 'torch', device: 'cuda:0: NVIDIA H100', precision: 'bf16'} as const,
  accumulate: 2,
};

test('one configuration and one kind of device, or all refuse with the same sentence', async () => {
  const other = {...terms, engine: {...terms.engine, device: 'cuda:0: NVIDIA H200'}};
  expect(await settled(ranksOf(3).map((group, i) => refuseDisagreement(group, i === 1 ? other : terms)))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  const longer = {...terms, config: {stage: 'temporal', train: {steps: 6}, log: 1}};
  const told = await settled(ranksOf(3).map((group, i) => refuseDisagreement(group, i === 2 ? longer : terms)));
  expect(new Set(told)).toEqual(
    new Set([
      'Rank 2 of 3 has another config than rank 0: train.steps, log. Start all with one configuration on machines that are set up alike.',
    ]),
  );
  const onCpu = {...terms, engine: {...terms.engine, device: 'cpu'}};
  const [first] = await settled(ranksOf(2).map((group, i) => refuseDisagreement(group, i === 1 ? onCpu : terms)));
  expect(first).toContain("Rank 1 of 2 has another device than rank 0: cpu, expected rank 0's cuda.");
});

test('more micro-batches a step than random numbers tell apart', async () => {
  const [first] = await settled(ranksOf(2).map(group => refuseDisagreement(group, {...terms, accumulate: 129})));
  expect(first).toContain('2 ranks with train.accumulate 129 make 258 micro-batches a step, expected at most 256');
});

test('a checkpoint holds the position of each rank, and as before where there is one', async () => {
  const positions = await Promise.all(ranksOf(3).map(group => positionsOfRanks(group, {at: group.rank})));
  const saved = {ranks: [{at: 0}, {at: 1}, {at: 2}]};
  expect(positions).toEqual([saved, saved, saved]);
  expect(await positionsOfRanks(alone, {at: 4})).toEqual({at: 4});
  expect(await positionsOfRanks(alone, undefined)).toBeNull();
  expect(ranksOf(3).map(group => positionOfRank(saved, group))).toEqual([{at: 0}, {at: 1}, {at: 2}]);
  // Other numbers of ranks: from a position that says how far the run is.
  expect(positionOfRank(saved, {rank: 3})).toEqual({at: 0});
  expect(positionOfRank({at: 4}, {rank: 1})).toEqual({at: 4});
  expect(positionOfRank(null, {rank: 1})).toBeUndefined();
});

test('rank 0 speaks to all; of failures the first is told by all', async () => {
  const said = ranksOf(3).map(group => fromRankZero(group, () => `from ${group.rank}`));
  expect(await Promise.all(said)).toEqual(['from 0', 'from 0', 'from 0']);
  const failures = ranksOf(3).map((group, i) => firstFailure(group, i === 0 ? undefined : `bad ${i}`));
  expect(new Set(await Promise.all(failures))).toEqual(new Set(['Rank 1 of 3: bad 1']));
  expect(await firstFailure(alone, 'bad')).toBe('bad');
  expect(await Promise.all(ranksOf(2).map(group => firstFailure(group, undefined)))).toEqual([undefined, undefined]);
});
