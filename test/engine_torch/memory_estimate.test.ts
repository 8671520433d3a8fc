// The estimate of a stage's memory against what the torch engine's allocator measures in a real step.
import {describe, expect, test} from 'vitest';
import {loadConfig} from '../../src/config/load.ts';
import {openEngine} from '../../src/engine/index.ts';
import {torchBuild} from '../../src/engine/torch.ts';
import * as tf from '../../src/tf.ts';
import {estimateMemory} from '../../trainers/reports/estimate_memory.ts';
import {measuredPeak, untrainedParent} from '../helpers/measured_memory.ts';

const build = await torchBuild();

describe.skipIf('why' in build)('torch', () => {
  test.each([
    ['autoencoder', []],
    ['image', ['data.batchSize=8']],
    ['temporal', ['data.batchSize=2']],
    ['temporal', ['data.size=[32,64]', 'train.accumulate=2']],
  ])('%s %j', async (stage, overrides) => {
    const file = `configs/tiny/${stage}.yaml`;
    const config = loadConfig(file, overrides);
    const frozen = untrainedParent(config, file);
    const before = tf.memory().numTensors;
    const {peak} = await estimateMemory(config, frozen);
    // Two tables of a noise schedule stay, as in every run.
    expect(tf.memory().numTensors - before).toBeLessThanOrEqual(2);
    const measured = await measuredPeak(config, frozen);
    // On a GPU a step takes cuDNN's workspaces as well, of sizes that only cuDNN knows.
    const onGpu = (await openEngine('torch')).device.startsWith('cuda');
    expect(peak / measured, `${peak} of ${measured}`).toBeGreaterThan(onGpu ? 0 : 0.9);
    expect(peak / measured, `${peak} of ${measured}`).toBeLessThan(1.1);
  });
});
