// Engines that are opened with a place in a group: joined, described, with this process's share of the machine.
import {availableParallelism} from 'node:os';
import {afterEach, describe, expect, test, vi} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {freePort, onCpu, run} from '../../packages/tfjs-backend-torch/test/ranks.ts';
import {openEngine} from '../../src/engine/index.ts';
import {chooseGpu} from '../../src/engine/torch.ts';

const place = {rank: 0, worldSize: 2, localRank: 0, localWorldSize: 2, address: '127.0.0.1', port: 1};

describe('the GPU of a process', () => {
  afterEach(() => vi.unstubAllEnvs());
  const chosen = (list: string | undefined, localRank: number, localWorldSize = 2) => {
    vi.stubEnv('CUDA_VISIBLE_DEVICES', list);
    chooseGpu({...place, localRank, localWorldSize});
    return process.env.CUDA_VISIBLE_DEVICES;
  };

  test('is the one with its local rank among those listed, or among all', () => {
    expect(chosen('4,6', 1)).toBe('6');
    expect(chosen(undefined, 1)).toBe('1');
  });
  test('stays where one is listed already, or the process has the machine for itself', () => {
    expect(chosen('5', 1)).toBe('5');
    expect(chosen('', 1)).toBe('');
    expect(chosen('4,6', 0, 1)).toBe('4,6');
    expect(chosen(undefined, 0, 1)).toBe(undefined);
  });
  test('must be there', () => {
    expect(() => chosen('4,6', 2, 3)).toThrow(/CUDA_VISIBLE_DEVICES is 4,6, and this process has local rank 2 of 3/);
  });
});

describe.skipIf(!isBuilt())('a group of engines (needs the addon: npm run build:torch)', () => {
  test('averages, says how many it is, and shares the processors', async () => {
    const port = await freePort();
    const ranks = await Promise.all(
      [0, 1].map(rank =>
        run(
          `const {openEngine} = await import('./src/engine/index.ts');
           const tf = await import('./src/tf.ts');
           const place = ${JSON.stringify({...place, rank, localRank: rank, port})};
           const engine = await openEngine('torch', {place});
           const x = tf.variable(tf.fill([2], place.rank + 1));
           engine.group.allReduceMean([x]);
           console.log(JSON.stringify([Array.from(x.dataSync()), engine.describe().worldSize, engine.threads, engine.group.rank]));
           await engine.group.close();`,
          {cwd: process.cwd(), options: ['--import', 'tsx'], env: {...onCpu, TFJS_TORCH_THREADS: ''}},
        ),
      ),
    );
    const threads = Math.max(1, Math.floor(availableParallelism() / 2));
    expect(ranks.map(({code, said}) => [code, ...said])).toEqual(
      [0, 1].map(rank => [0, [[1.5, 1.5], 2, threads, rank]]),
    );
  });

  test('a place that is none is refused by a sentence; an engine alone is a group of one', async () => {
    await expect(openEngine('torch', {place: {...place, rank: 2}})).rejects.toThrow(
      'The torch engine cannot join the other processes: openGroup: rank is 2, expected an integer from 0 to 1.',
    );
    const engine = await openEngine('torch', {place: {...place, worldSize: 1, localWorldSize: 1}});
    expect([engine.group.worldSize, engine.describe().worldSize]).toEqual([1, undefined]);
  });
});
