// A folder of published models is a parent like any run.
import '@tensorflow/tfjs-backend-cpu';
import {mkdtempSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {parseConfig} from '../../src/config/load.ts';
import * as tf from '../../src/tf.ts';
import {writeSafetensors} from '../../src/weights/safetensors.ts';
import {loadParent, loadParentShapes} from '../../trainers/parents/load_run.ts';
import {freezeParent} from '../../trainers/parents/parent.ts';
import {inspectModelFolder, inspectSafetensors} from '../../trainers/reports/inspect_models.ts';
import {randomTensors, specsOf, writeModelFolder} from '../helpers/model_folders.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'model-folder-'));
beforeAll(async () => {
  await tf.setBackend('cpu');
  await writeModelFolder(path.join(folder, 'sd'));
});
afterAll(() => rmSync(folder, {recursive: true}));

const config = (stage: string, more = '') =>
  parseConfig(
    `{stage: ${stage}, run: {name: x}, from: ${path.join(folder, 'sd')}, optimizer: {learningRate: 1}, train: {steps: 1},` +
      ` data: {train: [a.tar], heldOut: [b.tar], frames: 4, size: [16, 16], batchSize: 1}${more}}`,
    'test.yaml',
  );

test('all of it is read, every key accounted for', async () => {
  const {stage, unet, autoencoder, text, diffusion, scaleFactor} = await loadParent(path.join(folder, 'sd'));
  expect([stage, scaleFactor, diffusion?.prediction]).toEqual(['imported', 0.5, 'v']);
  expect(unet!.weights.size).toBe(specsOf.unet().length);
  expect(autoencoder!.weights.size).toBe(specsOf.vae().length);
  expect(text!.weights.size).toBe(specsOf.text().length);
  expect(text!.tokenizerOptions).toEqual({length: 77, padding: 'zero'});
  expect(text!.tokenizer.vocabulary.get('<|endoftext|>')).toBe(515);
  for (const {path: name, shape} of specsOf.unet()) expect(unet!.weights.get(name)!.shape, name).toEqual(shape);
});

test.each(['image', 'temporal'])('stage %s freezes it by one line of configuration', async stage => {
  const frozen = await freezeParent(config(stage));
  expect(frozen?.parent).toEqual({path: path.join(folder, 'sd'), stage: 'imported', step: 0});
  expect(frozen?.unet?.config.channels).toEqual([8, 16]);
  expect(frozen?.diffusion?.prediction).toBe('v');
  expect(frozen?.scaleFactor).toBe(0.5);
});

test('another target than that of the weights is refused', async () => {
  await expect(freezeParent(config('temporal', ', diffusion: {prediction: eps}'))).rejects.toThrow(
    'diffusion.prediction is eps',
  );
});

test('inspect counts each part and says what does not fit', async () => {
  const text = await inspectModelFolder(path.join(folder, 'sd'));
  const parameters = specsOf.unet().reduce((sum, {shape}) => sum + shape.reduce((a, b) => a * b, 1), 0);
  expect(text).toMatch(new RegExp(`unet +${parameters.toLocaleString('en')} +${specsOf.unet().length} +F16\n`));
  expect(text).toContain('predicts v; scaled_linear');
  const file = path.join(folder, 'sd', 'vae', 'diffusion_pytorch_model.safetensors');
  expect(await inspectSafetensors(file)).toMatch(/single file of vae \(vae\), \d+ tensors/);
  const other = await writeModelFolder(path.join(folder, 'broken'));
  const tensors = randomTensors(specsOf.vae());
  tensors.delete('quant_conv.bias');
  await writeSafetensors(path.join(other, 'vae', 'diffusion_pytorch_model.safetensors'), tensors);
  expect(await inspectModelFolder(other)).toContain('1 missing, 0 unexpected, 0 of the wrong shape (quant_conv.bias)');
});

test('a parent of shapes alone has the same names and shapes', async () => {
  const [whole, shapes] = [await loadParent(path.join(folder, 'sd')), await loadParentShapes(path.join(folder, 'sd'))];
  for (const name of ['unet', 'autoencoder', 'text'] as const) {
    const shapesOf = (models: typeof whole) => [...models[name]!.weights].map(([key, {shape}]) => [key, shape]);
    expect(shapesOf(shapes)).toEqual(shapesOf(whole));
  }
});
