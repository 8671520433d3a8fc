// The tiny temporal stage, through the trainers' own recipe and loop, gives the cpu engine's losses on tfjs-node's binding.
// Narrow networks keep the cpu engine's part short; scripts/node_gpu/compare_losses.ts does the shipped ones.
import {describe, expect, test} from 'vitest';
import {largestDifference, scales, temporalLosses} from '../../scripts/node_gpu/temporal_losses.ts';
import {isSetUp, needs} from './set_up.ts';

const steps = 20;

describe.skipIf(!isSetUp)(`node-gpu: the tiny temporal stage (${needs})`, () => {
  test(`${steps} losses within 1e-4 of the cpu engine's, temporal weights trained, no tensor left`, {
    timeout: 300_000,
  }, async () => {
    const node = await temporalLosses('node-gpu', scales.narrow, steps);
    const cpu = await temporalLosses('cpu', scales.narrow, steps);
    expect(node.engine.engine).toBe('node-gpu');
    expect(cpu.engine.engine).toBe('cpu');
    expect(node.losses).toHaveLength(steps);
    expect(new Set(node.losses).size).toBe(steps);
    expect(largestDifference(node.losses, cpu.losses)).toBeLessThan(1e-4);
    expect(node.moved).toBeGreaterThan(1e-3);
    expect(largestDifference(node.weights, cpu.weights)).toBeLessThan(node.moved / 10);
    expect(node.tensors[1]).toBe(node.tensors[0]);
  });
});
