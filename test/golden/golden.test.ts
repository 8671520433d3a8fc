// The networks against reference outputs of diffusers and transformers (float32, PyTorch on a CPU), on wasm, cpu and,
// where it is built, torch. open-unet-sd2 is not in the repository, which keeps its fixtures under 30 MB: its parts (linear
// projections, heads per level) are those of open-unet-spatiotemporal.
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {readdirSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {openEngine} from '../../src/engine/index.ts';
import {torchBuild} from '../../src/engine/torch.ts';
import {runGolden} from '../../src/golden/golden.ts';
import * as tf from '../../src/tf.ts';

const files = readdirSync(import.meta.dirname).filter(
  // The other step counts are the samplers' own test.
  file => file.endsWith('.safetensors') && !file.includes('step-counts'),
);
const torch = 'why' in (await torchBuild()) ? [] : ['torch' as const];
/** Correct float32 gives 1.3e-6 for the UNets, where one wrong norm epsilon gives 4e-6; a wrong architecture, over 1e-4. */
const limit = (file: string) => (file.includes('unet') ? 3e-6 : 1e-5);

describe.each(['wasm', 'cpu', ...torch] as const)('%s', backend => {
  let before = 0;
  beforeAll(async () => {
    await openEngine(backend);
    before = tf.memory().numTensors;
  });
  // Two tables of a noise schedule stay.
  afterAll(() => expect(tf.memory().numTensors - before).toBeLessThanOrEqual(2));

  test.each(files)(
    '%s',
    async file => {
      const {errors} = await runGolden(path.join(import.meta.dirname, file));
      expect(Object.keys(errors).length).toBeGreaterThan(0);
      for (const [name, error] of Object.entries(errors)) expect(error, name).toBeLessThan(limit(file));
    },
    300_000,
  );
});
