// The networks against reference outputs of diffusers and transformers (float32, PyTorch on a CPU), on both engines that
// need nothing beyond npm. open-unet-sd2 is not in the repository, which keeps its fixtures under 30 MB: its parts (linear
// projections, heads per level) are those of open-unet-spatiotemporal.
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {readdirSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {runGolden} from '../../src/golden/golden.ts';
import * as tf from '../../src/tf.ts';

const files = readdirSync(import.meta.dirname).filter(
  file => file.endsWith('.safetensors') && !file.includes('schedulers'),
);
/** Correct float32 gives 1.3e-6 for the UNets, where one wrong norm epsilon gives 4e-6; a wrong architecture, over 1e-4. */
const limit = (file: string) => (file.includes('unet') ? 3e-6 : 1e-5);

describe.each(['wasm', 'cpu'])('%s', backend => {
  let before = 0;
  beforeAll(async () => {
    await tf.setBackend(backend);
    before = tf.memory().numTensors;
  });
  afterAll(() => expect(tf.memory().numTensors).toBe(before));

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
