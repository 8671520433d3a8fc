// Figures are read one step late. A value that is not finite is still traced to its own step, and neither that step nor the one
// already under way changed a byte; nothing is saved after it.
import {describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {smallLoop} from '../helpers/small_loop.ts';

describe.each(['torch', 'wasm', 'cpu'] as const)('on %s', name => {
  const skipped = name === 'torch' && !isBuilt();

  test.skipIf(skipped).each([1, 2])(
    'a bad input, %i micro-batches a step: its own step and sample, found a step late',
    async accumulate => {
      const [found, good] = [
        await smallLoop(name, {steps: 8, accumulate, bad: {at: 5 * accumulate - 1, what: 'input'}}),
        await smallLoop(name, {steps: 4, accumulate}),
      ];
      const sample = `sample-${5 * accumulate - 1}`;
      const all = accumulate === 1 ? sample : `sample-8, ${sample}`;
      expect(found.error?.message).toContain(
        `Step 5 is not finite (loss NaN): the first bad value is in the input x of sample ${sample}, with samples ${all};`,
      );
      expect(found.batches).toBe(6 * accumulate);
      expect(found.state).toEqual(good.state);
      expect(found.saved).toEqual([]);
      expect(good.saved.map(({step}) => step)).toEqual([4]);
      expect([found.leaked, good.leaked]).toEqual([0, 0]);
    },
  );

  test.skipIf(skipped)('a loss that is not finite where all gradients are', async () => {
    const found = await smallLoop(name, {steps: 8, bad: {at: 4, what: 'loss'}});
    expect(found.error?.message).toContain('Step 5 is not finite (loss Infinity): the first bad value is in the loss,');
    expect(found.state).toEqual((await smallLoop(name, {steps: 4})).state);
  });

  test.skipIf(skipped)("the adversary's: the model's update of the step stands, all later ones do not", async () => {
    const found = await smallLoop(name, {steps: 8, bad: {at: 4, what: 'adversary'}});
    expect(found.error?.message).toMatch(/^Step 5 is not finite \(loss NaN\): the first bad value is in the loss,/);
    expect(found.batches).toBe(6);
    const [four, five] = [4, 5].map(steps => smallLoop(name, {steps, adversary: true}));
    // The model has four tensors of state, the critic three.
    const expected = [...(await five!).state.slice(0, 4), ...(await four!).state.slice(4)];
    expect(found.state).toEqual(expected);
    expect(found.leaked).toBe(0);
  });

  test.skipIf(skipped)('nothing is saved once it is bad, and what was stays', async () => {
    const {saved, error} = await smallLoop(name, {steps: 8, every: 2, bad: {at: 5, what: 'input'}});
    expect(error?.message).toContain('Step 6 is not finite');
    expect(saved.map(({step, data}) => [step, data])).toEqual([
      [2, 1],
      [4, 3],
    ]);
  });

  test.skipIf(skipped)('each line has the loss of its own step, however seldom they are read', async () => {
    const every = async (n: number) => (await smallLoop(name, {steps: 6, accumulate: 2, every: n})).lines;
    const [all, some] = [await every(1), await every(3)];
    expect(all.map(({step}) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(new Set(all.map(({loss}) => loss)).size).toBe(6);
    expect(some).toEqual(all.filter(({step}) => step % 3 === 0));
    expect(new Set(all.map(({tensors}) => tensors)).size).toBe(1);
  });
});
