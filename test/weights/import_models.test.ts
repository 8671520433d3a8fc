// `video-ldm import`: folders come back byte for byte, single files become folders, and what does not fit is refused whole.
import '@tensorflow/tfjs-backend-cpu';
import {cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {UNet} from '../../src/models/index.ts';
import {bytesOf} from '../../src/weights/host_tensor.ts';
import {importModels} from '../../src/weights/import_models.ts';
import {unetFromDiffusers} from '../../src/weights/key_maps/diffusers_configs.ts';
import {unetToDiffusers} from '../../src/weights/key_maps/write_diffusers_configs.ts';
import {readModelFolder} from '../../src/weights/model_folder.ts';
import {parseSafetensors, writeSafetensors} from '../../src/weights/safetensors.ts';
import {
  randomTensors,
  smallUNetJson,
  smallVaeJson,
  specsOf,
  writeModelFolder,
  writeTokenizer,
} from '../helpers/model_folders.ts';
import {originalVaeName} from './original_names.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'import-models-'));
const at = (...names: string[]) => path.join(folder, ...names);
beforeAll(() => writeModelFolder(at('sd')));
afterAll(() => rmSync(folder, {recursive: true}));

const filesBelow = (place: string) =>
  readdirSync(place, {recursive: true, encoding: 'utf8'})
    .filter(name => /\.\w+$/.test(name))
    .sort();

test('a diffusers folder comes back byte for byte', async () => {
  const report = await importModels({source: at('sd'), out: at('again')});
  const names = filesBelow(at('sd'));
  expect(filesBelow(at('again'))).toEqual(names);
  for (const name of names.filter(file => !file.includes('scheduler')))
    expect(readFileSync(at('again', name)).equals(readFileSync(at('sd', name))), name).toBe(true);
  expect(report.parts.unet!.tensors).toBe(specsOf.unet().length);
  expect((await readModelFolder(at('again'))).diffusion).toEqual((await readModelFolder(at('sd'))).diffusion);
});

test('another type and another target by option', async () => {
  await importModels({source: at('sd'), out: at('half'), dtype: 'BF16', prediction: 'eps'});
  const file = readFileSync(at('half', 'unet', 'diffusion_pytorch_model.safetensors'));
  expect([...parseSafetensors(file, 'x').tensors.values()].every(({dtype}) => dtype === 'BF16')).toBe(true);
  expect((await readModelFolder(at('half'))).diffusion!.prediction).toBe('eps');
});

describe('what does not fit', () => {
  const broken = async (name: string, change: (tensors: ReturnType<typeof randomTensors>) => void) => {
    cpSync(at('sd'), at(name), {recursive: true});
    const tensors = randomTensors(specsOf.unet());
    change(tensors);
    await writeSafetensors(at(name, 'unet', 'diffusion_pytorch_model.safetensors'), tensors);
    return at(name);
  };

  test('is listed for all parts together, and nothing is written', async () => {
    const source = await broken('broken', tensors => {
      tensors.delete('conv_in.weight');
      tensors.set('extra.weight', {dtype: 'F16', shape: [1], data: new Uint8Array(2)});
      tensors.set('conv_in.bias', {dtype: 'F16', shape: [3], data: new Uint8Array(6)});
    });
    const vae = randomTensors(specsOf.vae());
    vae.delete('quant_conv.bias');
    await writeSafetensors(path.join(source, 'vae', 'diffusion_pytorch_model.safetensors'), vae);
    const failure = await importModels({source, out: at('none'), allowMissing: false}).catch((e: Error) => e.message);
    expect(failure).toMatch(/2 missing \(unet\/conv_in\.weight, vae\/quant_conv\.bias\)/);
    expect(failure).toMatch(/1 unexpected \(unet\/extra\.weight\).*unet\/conv_in\.bias \[3\] instead of \[8\]/);
    expect(existsSync(at('none'))).toBe(false);
    expect(readdirSync(folder).filter(name => name.includes('importing'))).toEqual([]);
  });

  test('is let through where that is asked for: missing weights start anew, wrong shapes never', async () => {
    const source = await broken('partial', tensors => {
      tensors.delete('conv_in.weight');
      tensors.set('extra.weight', {dtype: 'F16', shape: [1], data: new Uint8Array(2)});
    });
    const report = await importModels({source, out: at('whole'), allowMissing: true, allowUnexpected: true});
    expect([report.parts.unet!.missing, report.unexpected]).toEqual([['conv_in.weight'], ['extra.weight']]);
    const {tensors} = parseSafetensors(
      readFileSync(at('whole', 'unet', 'diffusion_pytorch_model.safetensors')),
      'whole',
    );
    expect(tensors.get('conv_in.weight')!.shape).toEqual([8, 4, 3, 3]);
    expect(tensors.size).toBe(specsOf.unet().length);
    const wrong = await broken('wrong', tensors =>
      tensors.set('conv_in.bias', {dtype: 'F16', shape: [3], data: new Uint8Array(6)}),
    );
    await expect(
      importModels({source: wrong, out: at('none'), allowMissing: true, allowUnexpected: true}),
    ).rejects.toThrow('of the wrong shape');
    const integers = await broken('integers', tensors =>
      tensors.set('conv_in.bias', {dtype: 'I64', shape: [8], data: bytesOf(new BigInt64Array(8))}),
    );
    await expect(importModels({source: integers, out: at('none')})).rejects.toThrow('"conv_in.bias" is I64');
  });

  test('a target that is there, a pickle, a configuration for another network', async () => {
    await expect(importModels({source: at('sd'), out: at('sd')})).rejects.toThrow('is there already');
    await expect(importModels({source: at('nowhere'), out: at('none')})).rejects.toThrow('no file or folder');
    writeFileSync(at('zip.safetensors'), 'PK\u0003\u0004rest of an archive');
    await expect(importModels({source: at('zip.safetensors'), out: at('none')})).rejects.toThrow('convert it first');
    cpSync(at('sd'), at('xl'), {recursive: true});
    writeFileSync(
      at('xl', 'unet', 'config.json'),
      JSON.stringify({...smallUNetJson, addition_embed_type: 'text_time'}),
    );
    await expect(importModels({source: at('xl'), out: at('none')})).rejects.toThrow(
      '"addition_embed_type" is "text_time"',
    );
  });
});

describe('one model alone in a file', () => {
  test.each(['original', 'original below first_stage_model', 'diffusers'])('an autoencoder, %s names', async naming => {
    const nameOf = (name: string) => {
      if (naming === 'diffusers') return name;
      return `${naming === 'original' ? '' : 'first_stage_model.'}${originalVaeName(name, 2)}`;
    };
    // Norm groups are not in the file: 32 of them, as every published one has.
    const json = {...smallVaeJson, block_out_channels: [32, 64], norm_num_groups: 32};
    const tensors = randomTensors(specsOf.vae(json), {nameOf});
    if (naming === 'original') tensors.set('loss.logvar', {dtype: 'F32', shape: [], data: new Uint8Array(4)});
    const file = at(`${naming.replaceAll(' ', '-')}.safetensors`);
    await writeSafetensors(file, tensors);
    const out = at(`vae ${naming}`);
    const report = await importModels({source: file, out, scaleFactor: 0.25});
    expect(report.kind).toBe('single file of vae');
    const {vae} = await readModelFolder(out);
    expect(vae!.config).toMatchObject({channels: [32, 64], layersPerBlock: 1, latentChannels: 4, scaleFactor: 0.25});
    const written = parseSafetensors(readFileSync(vae!.file), out).tensors;
    for (const [name, {data}] of randomTensors(specsOf.vae(json)))
      expect(Buffer.from(written.get(name)!.data).equals(data), name).toBe(true);
  });

  test('SD 2.x does not say what it predicts', async () => {
    const shapes: [string, number[]][] = [
      ['model.diffusion_model.input_blocks.0.0.weight', [8, 4, 3, 3]],
      ['model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight', [8, 1024]],
    ];
    const tensors = shapes.map(([name, shape]) => {
      const data = new Uint8Array(2 * shape.reduce((a, b) => a * b, 1));
      return [name, {dtype: 'F16' as const, shape, data}] as const;
    });
    await writeSafetensors(at('sd2.safetensors'), tensors);
    await expect(importModels({source: at('sd2.safetensors'), out: at('none')})).rejects.toThrow('--prediction v');
    await expect(importModels({source: at('sd2.safetensors'), out: at('none'), prediction: 'v'})).rejects.toThrow(
      '684 missing',
    );
  });
});

test('a configuration written as diffusers has it reads back the same', () => {
  for (const json of [smallUNetJson, {...smallUNetJson, only_cross_attention: [true, false], num_class_embeds: 10}]) {
    const config = unetFromDiffusers(json);
    const again = unetFromDiffusers(unetToDiffusers(config));
    expect(again).toEqual(config);
    expect(new UNet(again).weightSpecs()).toEqual(new UNet(config).weightSpecs());
  }
});

test('a tokenizer from elsewhere is put beside single files', async () => {
  writeTokenizer(at('tokens'));
  await writeSafetensors(
    at('vae.safetensors'),
    randomTensors(specsOf.vae({...smallVaeJson, norm_num_groups: 32, block_out_channels: [32, 32]})),
  );
  await importModels({source: at('vae.safetensors'), out: at('with tokens'), tokenizer: at('tokens')});
  expect(readdirSync(at('with tokens', 'tokenizer')).sort()).toEqual(['merges.txt', 'vocab.json']);
  mkdirSync(at('empty'));
  await expect(importModels({source: at('vae.safetensors'), out: at('none'), tokenizer: at('empty')})).rejects.toThrow(
    'holds no tokenizer',
  );
});
