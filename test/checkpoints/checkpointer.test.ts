import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {
  type Checkpointer,
  listCheckpoints,
  loadCheckpoint,
  loadLatest,
  openCheckpointer,
  type TrainState,
} from '../../checkpoints/index.ts';
import {makeSnapshotBuffers} from '../../checkpoints/snapshot.ts';
import {comparable, expectState, stateAt} from './states.ts';

let folder = '';
let open: Checkpointer | undefined;
beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'checkpointer-')), 'checkpoints');
});
afterEach(async () => {
  await open?.close().catch(() => {});
  open = undefined;
  await rm(path.dirname(folder), {recursive: true});
});

describe('checkpointer', () => {
  test('what is saved is the state at that moment, whatever happens to it afterwards', async () => {
    const told: string[] = [];
    open = await openCheckpointer({
      folder,
      keep: {last: 2},
      onWritten: ({name}, removed) => told.push(`${name} ${removed}`),
    });
    const state = stateAt(1);
    open.reserve(state);
    for (let step = 1; step <= 4; step++) {
      const now = stateAt(step);
      for (const [name, {data}] of state.weights) data.set(now.weights.get(name)!.data);
      const times = await open.save({...now, weights: state.weights});
      expect(times.copiedMs).toBeGreaterThan(0);
      // In-place updates go on at once.
      for (const {data} of state.weights.values()) data.fill(Number.NaN);
    }
    const last = await open.flush();
    expect(last).toMatchObject({name: 'step-000000004', step: 4});
    expect(told).toEqual([
      'step-000000001 ',
      'step-000000002 ',
      'step-000000003 step-000000001',
      'step-000000004 step-000000002',
    ]);
    expect((await readdir(folder)).sort()).toEqual(['latest', 'step-000000003', 'step-000000004']);
    for (const step of [3, 4]) expectState(await loadCheckpoint(path.join(folder, `step-00000000${step}`)), step);
  });

  test('tensors may fill memory themselves, also asynchronously', async () => {
    open = await openCheckpointer({folder});
    const whole = stateAt(6);
    const lazy: TrainState = {
      ...whole,
      weights: new Map(
        [...whole.weights].map(([name, tensor]) => {
          const fill = async (target: Float32Array) => {
            await sleep(1);
            target.set(tensor.data);
          };
          return [name, {...tensor, data: fill}];
        }),
      ),
    };
    await open.save(lazy);
    await open.close();
    open = undefined;
    expectState((await loadLatest(folder))!.state, 6);
  });

  test('saves that are not awaited are written one after another', async () => {
    open = await openCheckpointer({folder});
    await Promise.all([1, 2, 3].map(step => open!.save(stateAt(step))));
    await open.flush();
    for (const step of [1, 2, 3]) expectState(await loadCheckpoint(path.join(folder, `step-00000000${step}`)), step);
  });

  test('a write that fails is told in one sentence by the next call, and the one after may succeed', async () => {
    open = await openCheckpointer({folder});
    await open.save(stateAt(1));
    await open.flush();
    // A folder that is not empty stands where the temporary one goes, and cannot be cleared: its parent is a file.
    await rm(folder, {recursive: true});
    await writeFile(folder, 'in the way');
    await open.save(stateAt(2));
    await expect(open.save(stateAt(3))).rejects.toThrow(/^Cannot write checkpoint step-000000002 in [^\n]*\.$/);
    await rm(folder);
    await mkdir(folder);
    await open.save(stateAt(4));
    await open.close();
    open = undefined;
    expectState((await loadLatest(folder))!.state, 4);
    expect((await listCheckpoints(folder)).length).toBe(1);
  });

  test('a failure of filling, and a state that cannot be written, do not break later saves', async () => {
    open = await openCheckpointer({folder});
    const broken = new Map([
      ['w', {shape: [1], layout: 'vector' as const, data: () => Promise.reject(new Error('device lost'))}],
    ]);
    await expect(open.save({...stateAt(1), weights: broken})).rejects.toThrow('device lost');
    await expect(open.save({...stateAt(1), companions: {Model: new Map()}})).rejects.toThrow('companion name "Model"');
    await open.save(stateAt(2));
    await open.flush();
    expectState((await loadLatest(folder))!.state, 2);
  });

  test('what a killed process left is cleared when a run opens the folder', async () => {
    await mkdir(path.join(folder, '.writing-step-000000001'), {recursive: true});
    open = await openCheckpointer({folder});
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('snapshot buffers', () => {
  test('are used again while the shapes fit, and are what was reserved', async () => {
    const buffers = makeSnapshotBuffers();
    buffers.reserve(stateAt(1));
    const {bytes} = buffers;
    const first = await buffers.copy(stateAt(1));
    expect(comparable(first)).toEqual(comparable(stateAt(1)));
    const memory = first.weights.get('conv_in.weight')!.data.buffer;
    const second = await buffers.copy(stateAt(2));
    expect(second.weights.get('conv_in.weight')!.data.buffer).toBe(memory);
    expect(comparable(second)).toEqual(comparable(stateAt(2)));
    expect(buffers.bytes).toBe(bytes);
    const data = new Float32Array(bytes).fill(3);
    const larger = {...stateAt(3), weights: new Map([['w', {shape: [bytes], layout: 'vector' as const, data}]])};
    expect((await buffers.copy(larger)).weights.get('w')!.data).toEqual(data);
  });
});
