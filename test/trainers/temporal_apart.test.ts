// Layers over time in a file of their own, under SVD's names, put onto another spatial UNet, with a text of their own.
import '@tensorflow/tfjs-backend-cpu';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {UNet} from '../../src/models/index.ts';
import {importModels} from '../../src/weights/import_models.ts';
import {unetFromDiffusers} from '../../src/weights/key_maps/diffusers_configs.ts';
import {temporalToJson} from '../../src/weights/key_maps/temporal_config.ts';
import {parseSafetensors, writeSafetensors} from '../../src/weights/safetensors.ts';
import {exportModels} from '../../trainers/export_models.ts';
import {loadModelFolder} from '../../trainers/parents/load_models.ts';
import {randomTensors, smallUNetJson, specsOf, writeModelFolder} from '../helpers/model_folders.ts';
import {tinyTemporal} from '../models/tiny.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'temporal-apart-'));
const at = (...names: string[]) => path.join(folder, ...names);
const weights = 'diffusion_pytorch_model.safetensors';
const temporalSpecs = new UNet({...unetFromDiffusers(smallUNetJson), temporal: tinyTemporal})
  .weightSpecs()
  .filter(({part}) => part === 'temporal');

beforeAll(async () => {
  await writeModelFolder(at('video'));
  await writeModelFolder(at('dream'), {seed: 9});
  mkdirSync(at('video', 'temporal'));
  writeFileSync(at('video', 'temporal', 'config.json'), JSON.stringify(temporalToJson(tinyTemporal)));
  await writeSafetensors(at('video', 'temporal', weights), randomTensors(temporalSpecs, {seed: 4}), {
    metadata: {format: 'pt'},
  });
  await importModels({source: at('dream'), out: at('both'), temporal: at('video')});
});
afterAll(() => rmSync(folder, {recursive: true}));

test('spatial weights of one, temporal weights of the other, and both texts', async () => {
  const [both, dream, video] = [
    await loadModelFolder(at('both')),
    await loadModelFolder(at('dream')),
    await loadModelFolder(at('video')),
  ];
  expect(both.unet!.config.temporal).toEqual(tinyTemporal);
  for (const {path: name, part} of new UNet(both.unet!.config).weightSpecs()) {
    const from = part === 'temporal' ? video : dream;
    expect(both.unet!.weights.get(name)!.data, name).toEqual(from.unet!.weights.get(name)!.data);
  }
  expect(both.text!.weights).toEqual(dream.text!.weights);
  expect(both.temporalText!.weights).toEqual(video.text!.weights);
  expect(both.temporalText!.tokenizer.vocabulary.size).toBe(video.text!.tokenizer.vocabulary.size);
});

test("the file has SVD's names, and comes back byte for byte from an export", async () => {
  const {tensors} = parseSafetensors(readFileSync(at('both', 'temporal', weights)), 'temporal');
  expect(tensors.size).toBe(temporalSpecs.length);
  for (const name of [
    'down_blocks.0.resnets.0.temporal_res_block.conv1.weight',
    'down_blocks.0.resnets.0.time_mixer.mix_factor',
    'down_blocks.1.attentions.0.temporal_transformer_blocks.0.attn1.to_q.weight',
    'down_blocks.1.attentions.0.time_pos_embed.linear_1.weight',
  ])
    expect(tensors.has(name), name).toBe(true);
  await exportModels({run: at('video'), out: at('exported'), dtype: 'F16'});
  for (const part of ['temporal', 'unet', 'vae'])
    expect(readFileSync(at('exported', part, weights)).equals(readFileSync(at('video', part, weights))), part).toBe(
      true,
    );
  const text = (from: string) => readFileSync(at(from, 'text_encoder', 'model.safetensors'));
  expect(text('exported').equals(text('video'))).toBe(true);
  const [one, other] = [await loadModelFolder(at('exported')), await loadModelFolder(at('video'))];
  expect({...one, path: '', checkpoint: ''}).toEqual({...other, path: '', checkpoint: ''});
});

test('the same text is not kept twice; what does not fit is refused', async () => {
  await writeModelFolder(at('same text'));
  await importModels({source: at('same text'), out: at('one text'), temporal: at('video')});
  expect((await loadModelFolder(at('one text'))).temporalText).toBeUndefined();
  const elsewhere = importModels({source: at('dream'), out: at('none'), temporal: at('dream')});
  await expect(elsewhere).rejects.toThrow('has no layers over time');
  const wider = {...smallUNetJson, block_out_channels: [16, 16]};
  await writeModelFolder(at('wide'));
  writeFileSync(at('wide', 'unet', 'config.json'), JSON.stringify(wider));
  await writeSafetensors(at('wide', 'unet', weights), randomTensors(specsOf.unet(wider)));
  await expect(importModels({source: at('wide'), out: at('none'), temporal: at('video')})).rejects.toThrow(
    /of the wrong shape \(temporal\//,
  );
});
