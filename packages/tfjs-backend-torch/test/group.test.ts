// Groups of processes over gloo: means, broadcasts, texts, ranks that are gone, what is refused. NCCL needs GPUs.
import {createServer} from 'node:net';
import * as tf from '@tensorflow/tfjs-core';
import {beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../src/built.ts';
import type * as Torch from '../src/index.ts';
import {type Ended, freePort, runRanks} from './ranks.ts';

/** What the ranks said, where all ended well. */
function saidBy(ranks: Ended[]): unknown[][] {
  for (const {code, errors} of ranks) expect([code, errors]).toEqual([0, expect.any(String)]);
  return ranks.map(({said}) => said);
}

describe.skipIf(!isBuilt())('a group of processes (needs the addon: npm run build:torch)', () => {
  test('means are those of the values, and the same bytes on every rank, whatever the sizes', async () => {
    // The large one is exchanged alone, the others together; the values' sums depend on the order of the addends.
    const ranks = await runRanks(
      3,
      `const group = await torch.openGroup(place);
       const valuesOf = (rank, size) => tf.tidy(() => tf.sin(tf.mul(tf.range(0, size), 0.37 + rank)));
       const sizes = [1, 1000, 0, 2 ** 24 + 5, 7, 300];
       const variables = sizes.map(size => tf.tidy(() => tf.variable(valuesOf(rank, size))));
       const where = variables.map(x => x.dataId);
       group.allReduceMean(variables);
       say(variables.map(bytes));
       say(variables.map((x, i) => x.dataId === where[i]));
       const worst = variables.map((x, i) => tf.tidy(() => {
         if (sizes[i] === 0) return 0;
         const expected = tf.div(tf.addN([0, 1, 2].map(rank => valuesOf(rank, sizes[i]))), 3);
         return tf.max(tf.abs(tf.sub(x, expected))).dataSync()[0];
       }));
       say(worst);
       const weights = [tf.variable(tf.fill([2, 2], rank)), tf.variable(tf.scalar(rank + 0.5))];
       group.broadcast(weights);
       say(weights.map(x => Array.from(x.dataSync())));
       await group.close();`,
    );
    const [first, ...others] = saidBy(ranks);
    for (const said of others) expect(said[0]).toEqual(first![0]);
    expect(first![1]).toEqual(Array(6).fill(true));
    for (const worst of first![2] as number[]) expect(worst).toBeLessThan(2e-7);
    for (const said of [first!, ...others]) {
      expect(said[3]).toEqual([[0, 0, 0, 0], [0.5]]);
    }
  });

  test('texts come in the order of ranks and calls, long ones too, and the event loop goes on', async () => {
    const ranks = await runRanks(
      3,
      `const group = await torch.openGroup(place);
       let ticks = 0;
       const timer = setInterval(() => ticks++, 10);
       if (rank === 2) await new Promise(resolve => setTimeout(resolve, 300));
       const both = await Promise.all([group.allGatherText('né ' + rank), group.allGatherText(rank === 1 ? '' : 'b')]);
       clearInterval(timer);
       say(both);
       say(rank === 2 || ticks > 3);
       const long = 'ab'.repeat(2 ** 22 + rank);
       const texts = await group.allGatherText(long);
       say(texts.map(text => [text.length, text === 'ab'.repeat(text.length / 2)]));
       say(await group.allGatherText('x'.repeat(2 ** 24 + 1)).catch(error => error.message));
       await group.close();
       say(await group.allGatherText('x').catch(error => error.message));`,
    );
    for (const [rank, said] of saidBy(ranks).entries()) {
      expect(said).toEqual([
        [
          ['né 0', 'né 1', 'né 2'],
          ['b', '', 'b'],
        ],
        true,
        [0, 1, 2].map(other => [2 * (2 ** 22 + other), true]),
        `allGatherText on rank ${rank} of 3: the text has 16777217 bytes, at most 16777216.`,
        `allGatherText on rank ${rank} of 3: this group was closed.`,
      ]);
    }
  });

  test('what is written is seen by products in bf16, and by no tensor that shared its values', async () => {
    const ranks = await runRanks(
      2,
      `const group = await torch.openGroup(place);
       torch.setPrecision('bf16');
       const x = tf.ones([4, 8]);
       const product = w => tf.tidy(() => Array.from(tf.matMul(x, w).dataSync()));
       const w = tf.variable(tf.fill([8, 3], rank + 1));
       product(w), product(w); // from the second on, its copy in bf16 is kept
       group.allReduceMean([w]);
       say([product(w)[0], product(w)[11]]);
       group.broadcast([w]);
       say(product(w)[0]);
       // A product is kept in bf16, though TensorFlow.js sees float32.
       const y = tf.matMul(tf.fill([2, 2], rank + 1), tf.ones([2, 2]));
       group.allReduceMean([y]);
       say(Array.from(y.dataSync()));
       const shared = tf.variable(tf.fill([2], rank));
       const before = shared.clone();
       group.allReduceMean([shared]);
       say([Array.from(before.dataSync()), Array.from(shared.dataSync())]);
       await group.close();`,
    );
    for (const [rank, said] of saidBy(ranks).entries()) {
      expect(said).toEqual([
        [12, 12],
        12,
        [3, 3, 3, 3],
        [
          [rank, rank],
          [0.5, 0.5],
        ],
      ]);
    }
  });

  test('where a rank is gone the others have an Error that says so, at once, and close', async () => {
    const program = `
      const group = await torch.openGroup(place);
      const x = tf.variable(tf.fill([1000], rank));
      group.allReduceMean([x]);
      for (let i = 0; i < 2; i++) {
        try {
          group.allReduceMean([x]);
          say('no error');
        } catch (error) {
          say(error.message);
        }
      }
      await group.close();`;
    const leaves = `
      const group = await torch.openGroup(place);
      group.allReduceMean([tf.variable(tf.zeros([1000]))]);
      process.kill(process.pid, 'SIGKILL');`;
    const ranks = await runRanks(3, [program, leaves, program]);
    for (const rank of [0, 2]) {
      const {said, code, seconds} = ranks[rank]!;
      expect(said).toEqual(
        Array(2).fill(
          expect.stringMatching(
            new RegExp(`^allReduceMean on rank ${rank} of 3 did not come to its end: another rank is gone`),
          ),
        ),
      );
      expect(code).toBe(0);
      expect(seconds).toBeLessThan(15);
    }
  });

  test('a second group after the first, at the same port; a process ends without closing, though a thread waits', async () => {
    const ranks = await runRanks(
      2,
      `for (let i = 0; i < 3; i++) {
         const group = await torch.openGroup(place);
         const x = tf.variable(tf.fill([2], rank + i));
         group.allReduceMean([x]);
         say([Array.from(x.dataSync()), await group.allGatherText(String(rank))]);
         await group.close();
         await group.close();
       }
       const group = await torch.openGroup(place);
       if (rank === 1) void group.allGatherText('nobody answers');
       setTimeout(() => process.exit(rank), 300);`,
    );
    expect(ranks.map(({code}) => code)).toEqual([0, 1]);
    for (const {said, seconds} of ranks) {
      expect(said).toEqual(
        [0, 1, 2].map(i => [
          [i + 0.5, i + 0.5],
          ['0', '1'],
        ]),
      );
      expect(seconds).toBeLessThan(15);
    }
  });

  test('a group of one, on the device of this machine', async () => {
    const [rank] = await runRanks(
      1,
      `const group = await torch.openGroup(place);
       const x = tf.variable(tf.tensor1d([1, 2, 3]));
       group.allReduceMean([x]);
       group.broadcast([x]);
       say([Array.from(x.dataSync()), await group.allGatherText('alone')]);
       await group.close();`,
    );
    expect(rank).toMatchObject({code: 0, said: [[[1, 2, 3], ['alone']]]});
  });

  test('a store that another process serves, attempt after attempt', async () => {
    const ranks = await runRanks(
      2,
      `const serving = rank === 0 ? await torch.openGroup({...place, worldSize: 1, localWorldSize: 1}) : undefined;
       for (let i = 0; i < 2; i++) {
         const group = await torch.openGroup({...place, attempt: 'attempt/' + i});
         const x = tf.variable(tf.fill([2], rank + i));
         group.allReduceMean([x]);
         say([Array.from(x.dataSync()), await group.allGatherText(String(rank))]);
         await group.close();
       }
       await serving?.close();`,
    );
    for (const {code, said, seconds} of ranks) {
      expect(code).toBe(0);
      expect(said).toEqual(
        [0, 1].map(i => [
          [i + 0.5, i + 0.5],
          ['0', '1'],
        ]),
      );
      expect(seconds).toBeLessThan(15);
    }
  });

  test('two processes of one rank, or ranks of different groups, are refused', async () => {
    const program = (change: string) => `
      const open = torch.openGroup({...place, ${change}});
      say(await Promise.race([open, new Promise(resolve => setTimeout(resolve, 5000))])
        .then(() => 'waits', error => error.message));
      process.exit();`;
    const [twice, sizes] = await Promise.all([
      runRanks(3, [program(''), program(''), program('rank: 1, localRank: 1')]),
      runRanks(2, [program(''), program('worldSize: 3')]),
    ]);
    // The one that came first goes on waiting, or finds rank 0 gone at the end.
    const refused = /^there is a rank 1 of 3 at 127.0.0.1:\d+ already: two processes have the same rank/;
    expect(twice.map(({said}) => refused.test(String(said[0]))).filter(is => is)).toHaveLength(1);
    expect(twice[0]!.said).toEqual(['waits']);
    expect(sizes[0]!.said).toEqual(['rank 1 is in a group by gloo, of 3 processes, rank 0 of 2 in one by gloo, of 2']);
  });

  describe('in this process', () => {
    let torch: typeof Torch;
    beforeAll(async () => {
      torch = await import('../src/index.ts');
      await tf.setBackend('torch');
    });
    const place = async () => ({
      rank: 0,
      worldSize: 1,
      localRank: 0,
      localWorldSize: 1,
      address: '127.0.0.1',
      port: await freePort(),
    });

    test('places that are none are refused by name', async () => {
      const right = await place();
      for (const [wrong, message] of [
        [{rank: 1}, /^openGroup: rank is 1, expected an integer from 0 to 0\.$/],
        [{worldSize: 0}, /worldSize is 0/],
        [{localRank: -1}, /localRank is -1, expected an integer from 0 to 0/],
        [{localWorldSize: 2}, /localWorldSize is 2, expected an integer from 1 to 1/],
        [{port: Number.NaN}, /port is NaN, expected an integer from 1 to 65535/],
        [{address: ''}, /the address is empty/],
      ] as const) {
        await expect(torch.openGroup({...right, ...wrong})).rejects.toThrow(message);
      }
    });

    test('so is a port that is taken', async () => {
      const server = createServer().listen(0);
      await new Promise(resolve => server.once('listening', resolve));
      const {port} = server.address() as {port: number};
      await expect(torch.openGroup({...(await place()), port})).rejects.toThrow(
        new RegExp(`^rank 0 of 1 cannot listen at 127.0.0.1:${port}: .*[Aa]ddress already in use`, 's'),
      );
      server.close();
    });

    test('tensors of other types, disposed ones, the same one twice, and calls inside a captured step', async () => {
      const group = await torch.openGroup(await place());
      const x = tf.variable(tf.ones([2]), true, 'x');
      group.allReduceMean([x]);
      expect(Array.from(x.dataSync())).toEqual([1, 1]);
      const counts = tf.ones([3], 'int32');
      expect(() => group.allReduceMean([x, counts])).toThrow('tensor 1 is int32[3], expected float32');
      expect(() => group.broadcast([x, x])).toThrow('broadcast: a tensor is given twice.');
      const [y, alias] = tf.tidy(() => {
        const y = tf.square(x);
        return [y, y.clone()];
      }) as [tf.Tensor, tf.Tensor];
      expect(() => group.broadcast([y])).toThrow('must be a variable or a tensor that shares its values with no other');
      tf.dispose([y, alias, counts]);
      expect(() => group.allReduceMean([y])).toThrow('tensor 0 was disposed');
      const step = torch.capture(() => {
        group.allReduceMean([x]);
        return {};
      });
      expect(() => step({})).toThrow(
        /allReduceMean of a group is not possible inside a captured step: it makes no exchange with other processes/,
      );
      await group.close();
      expect(() => group.allReduceMean([x])).toThrow('allReduceMean on rank 0 of 1: this group was closed.');
      x.dispose();
    });
  });
});
