// Published files -> models: full-size key maps by names and shapes alone, small ones by their outputs, and what does not
// fit listed.
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {runGolden} from '../../src/golden/golden.ts';
import {
  AutoencoderKL,
  autoencoderPresets,
  countPart,
  TextEncoder,
  textEncoderPresets,
  UNet,
  unetPresets,
} from '../../src/models/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {tensorsToWrite} from '../../src/weights/export_weights.ts';
import {type HostTensor, hostF32, toFloatDtype} from '../../src/weights/host_tensor.ts';
import {refusePickle, splitSingleFile} from '../../src/weights/import_sources/split_single_file.ts';
import {fromDiffusers, toSvd} from '../../src/weights/key_maps/diffusers.ts';
import {emaKey} from '../../src/weights/key_maps/single_file.ts';
import {torchShape} from '../../src/weights/layouts.ts';
import {loadWeights, matchKeys, sourceOf, type WeightSource} from '../../src/weights/load_weights.ts';
import {readModelFolder} from '../../src/weights/model_folder.ts';
import {encodeSafetensors, openSafetensors, parseSafetensors, writeSafetensors} from '../../src/weights/safetensors.ts';
import {bytes, tinyTemporal, tinyUNet} from '../models/tiny.ts';
import {originalCheckpoint} from './original_checkpoint.ts';
import {originalTextName} from './original_names.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'import-'));
const golden = path.resolve(import.meta.dirname, '../golden');
beforeAll(() => tf.setBackend('wasm'));
afterAll(() => rmSync(folder, {recursive: true}));

/** A file of names and shapes that is never read. */
function shapesOnly(entries: Iterable<readonly [string, readonly number[]]>): WeightSource {
  const tensors = new Map([...entries].map(([name, shape]) => [name, {shape}]));
  return {path: 'model.safetensors', tensors, read: () => Promise.reject(new Error('read'))};
}

describe('single files, full size, by names and shapes alone', () => {
  test.each([
    ['sd1', 196],
    ['sd2', 372],
    ['x4-upscaler', 372],
  ] as const)('%s', (kind, textTensors) => {
    const {kind: found, parts} = splitSingleFile(shapesOnly(originalCheckpoint(kind)));
    expect(found).toEqual({model: kind, inChannels: unetPresets[kind].inChannels});
    const models = {
      unet: new UNet(unetPresets[kind]),
      vae: new AutoencoderKL(kind === 'x4-upscaler' ? autoencoderPresets['x4-f4'] : autoencoderPresets['sd-f8']),
      text: new TextEncoder(textEncoderPresets[kind === 'sd1' ? 'clip-vit-l' : 'openclip-vit-h']),
    };
    for (const part of ['unet', 'vae', 'text'] as const) {
      const report = matchKeys(models[part].weightSpecs(), parts[part]!, {pathOf: name => name});
      expect({...report, matched: report.matched.size}).toEqual({
        matched: models[part].weightSpecs().length,
        missing: [],
        unexpected: [],
        misshaped: [],
      });
    }
    expect(parts.text!.tensors.size).toBe(textTensors);
    if (kind === 'sd1') expect([parts.unet!.tensors.size, parts.vae!.tensors.size]).toEqual([686, 248]);
  });

  test('averages are taken by choice, and asked for in vain are refused', async () => {
    const entries = originalCheckpoint('sd1');
    expect(() => splitSingleFile(shapesOnly(entries), {ema: true})).toThrow('no averaged copy');
    const averages = entries
      .filter(([name]) => name.startsWith('model.diffusion'))
      .map(([name, shape]) => [emaKey(name), shape] as const);
    expect(averages[0]![0]).toBe('model_ema.diffusion_modelinput_blocks00weight');
    const read: string[] = [];
    const source = {
      ...shapesOnly([...entries, ...averages]),
      read: async (name: string) => {
        read.push(name);
        return hostF32([1], Float32Array.of(0));
      },
    };
    for (const ema of [true, false]) await splitSingleFile(source, {ema}).parts.unet!.read('conv_in.weight');
    expect(read).toEqual([
      'model_ema.diffusion_modelinput_blocks00weight',
      'model.diffusion_model.input_blocks.0.0.weight',
    ]);
  });

  test('what is no such file, or has a strange key, is refused in one sentence', () => {
    expect(() => splitSingleFile(shapesOnly([['a', [1]]]))).toThrow('no single-file checkpoint');
    expect(() => splitSingleFile(shapesOnly([...originalCheckpoint('sd1'), ['lora_unet_x', [1]]]))).toThrow(
      '"lora_unet_x"',
    );
    expect(() =>
      splitSingleFile(
        shapesOnly([...originalCheckpoint('sd1'), ['model.diffusion_model.input_blocks.30.0.in_layers.0.weight', [1]]]),
      ),
    ).toThrow('level 9');
    expect(() => refusePickle('v1-5.ckpt')).toThrow('convert it first');
    expect(() => refusePickle('v1-5.safetensors')).not.toThrow();
  });
});

/** A golden file with its weights under other names. */
async function renamedGolden(file: string, rename: (name: string) => string): Promise<string> {
  const {tensors, metadata} = parseSafetensors(readFileSync(path.join(golden, file)), file);
  const renamed = [...tensors].map(
    ([name, tensor]) => [name.startsWith('weights.') ? `weights.${rename(name.slice(8))}` : name, tensor] as const,
  );
  const target = path.join(folder, file);
  writeFileSync(target, encodeSafetensors(renamed, metadata));
  return target;
}

test('old attention names of the autoencoder', async () => {
  const old = (name: string) =>
    name
      .replace('.to_q.', '.query.')
      .replace('.to_k.', '.key.')
      .replace('.to_v.', '.value.')
      .replace('.to_out.0.', '.proj_attn.');
  const {errors} = await runGolden(await renamedGolden('open-vae.safetensors', old));
  for (const error of Object.values(errors)) expect(error).toBeLessThan(1e-5);
});

test("OpenCLIP's joint projections are split into queries, keys and values", async () => {
  const {tensors, metadata} = parseSafetensors(
    readFileSync(path.join(golden, 'open-text-openclip-h.safetensors')),
    'golden',
  );
  const original = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) {
    if (!name.startsWith('weights.')) continue;
    const own = name.slice(8);
    if (/[kv]_proj/.test(own)) continue;
    if (!/q_proj/.test(own)) {
      original.set(`cond_stage_model.model.${originalTextName(own)}`, tensor);
      continue;
    }
    const three = ['q', 'k', 'v'].map(letter => tensors.get(name.replace('q_proj', `${letter}_proj`))!);
    const joint = own.replace('encoder.layers', 'transformer.resblocks').replace('self_attn.q_proj.', 'attn.in_proj_');
    const [rows = 0, ...rest] = tensor.shape;
    original.set(`cond_stage_model.model.${joint}`, {
      ...tensor,
      shape: [3 * rows, ...rest],
      data: Buffer.concat(three.map(({data}) => data)),
    });
  }
  const unet = originalCheckpoint('sd2').filter(([name]) => name.startsWith('model.'));
  const source = {...sourceOf(original, 'text'), tensors: new Map([...original, ...shapesOnly(unet).tensors])};
  const {parts} = splitSingleFile(source);
  const config = JSON.parse(metadata.config!) as Record<string, number>;
  const encoder = new TextEncoder({
    ...textEncoderPresets['openclip-vit-h'],
    vocabulary: 600,
    channels: 64,
    hidden: 128,
    layers: config.num_hidden_layers!,
    heads: 4,
    endToken: 599,
  });
  await loadWeights(encoder, parts.text!, {pathOf: name => name});
  const plain = new TextEncoder(encoder.config);
  const own = new Map(
    [...tensors].flatMap(([name, tensor]) => (name.startsWith('weights.') ? [[name.slice(8), tensor] as const] : [])),
  );
  await loadWeights(plain, sourceOf(own, 'text'), {pathOf: name => name});
  for (const [name, weight] of plain.namedWeights())
    expect(bytes(encoder.namedWeights().get(name)!), name).toEqual(bytes(weight));
});

describe('every key is accounted for', () => {
  const specs = new UNet(tinyUNet).weightSpecs();
  const entries = specs.map(spec => [spec.path, torchShape(spec.shape, spec.layout)] as const);

  test('missing, unexpected and misshaped are listed together and nothing is loaded', async () => {
    const source = shapesOnly([...entries.slice(1), ['extra.weight', [3]], ['conv_in.bias', [9]]]);
    const unet = new UNet(tinyUNet);
    const error = await loadWeights(unet, source, {pathOf: fromDiffusers}).catch((e: Error) => e.message);
    expect(error).toContain('1 missing (conv_in.weight)');
    expect(error).toContain('1 unexpected (extra.weight)');
    expect(error).toContain('conv_in.bias [9] instead of [8]');
    expect(unet.weights).toEqual([]);
  });

  test('what is allowed is let through', () => {
    const report = matchKeys(specs, shapesOnly([...entries.slice(2), ['extra.weight', [3]]]), {pathOf: fromDiffusers});
    expect(report.missing).toEqual(['conv_in.weight', 'conv_in.bias']);
    expect(report.unexpected).toEqual(['extra.weight']);
    expect(report.matched.size).toBe(entries.length - 2);
  });
});

describe('folders', () => {
  const config = {
    _class_name: 'UNet2DConditionModel',
    in_channels: 4,
    out_channels: 4,
    block_out_channels: [8, 16],
    down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D'],
    layers_per_block: 1,
    cross_attention_dim: 6,
    attention_head_dim: [1, 2],
    use_linear_projection: true,
    norm_num_groups: 4,
  };

  test('a half-precision diffusers folder comes back byte for byte', async () => {
    const place = path.join(folder, 'sd', 'unet');
    mkdirSync(place, {recursive: true});
    writeFileSync(path.join(place, 'config.json'), JSON.stringify(config));
    const file = path.join(place, 'diffusion_pytorch_model.safetensors');
    const tensors = new UNet(tinyUNet).weightSpecs().map((spec, i) => {
      const shape = torchShape(spec.shape, spec.layout);
      const values = normals(
        {seed: 3, stream: 'init', step: i},
        shape.reduce((a, b) => a * b, 1),
      );
      return [spec.path, toFloatDtype(hostF32(shape, values), 'F16')] as const;
    });
    await writeSafetensors(file, tensors, {metadata: {format: 'pt'}});
    const {unet: model} = await readModelFolder(path.join(folder, 'sd'));
    if (!model) throw new Error('no UNet was found');
    const unet = new UNet(model.config);
    const source = await openSafetensors(model.file);
    await loadWeights(unet, source, {pathOf: model.pathOf});
    await source.close();
    const again = path.join(folder, 'again.safetensors');
    await writeSafetensors(again, tensorsToWrite(unet, {dtype: 'F16'}), {metadata: {format: 'pt'}});
    expect(readFileSync(again).equals(readFileSync(file))).toBe(true);
  });

  test('what is missing is said', async () => {
    await expect(readModelFolder(folder)).rejects.toThrow('no model folder');
    const place = path.join(folder, 'broken');
    mkdirSync(place);
    writeFileSync(path.join(place, 'config.json'), '{');
    await expect(readModelFolder(place)).rejects.toThrow('no JSON');
    writeFileSync(path.join(place, 'config.json'), JSON.stringify(config));
    await expect(readModelFolder(place)).rejects.toThrow('no safetensors file');
    writeFileSync(path.join(place, 'diffusion_pytorch_model.bin'), '');
    await expect(readModelFolder(place)).rejects.toThrow('only a pickle');
    writeFileSync(path.join(place, 'config.json'), JSON.stringify({...config, _class_name: 'Flux'}));
    writeFileSync(path.join(place, 'model.safetensors'), '');
    await expect(readModelFolder(place)).rejects.toThrow('"Flux"');
    writeFileSync(path.join(place, 'config.json'), JSON.stringify({...config, block_out_channels: 'wide'}));
    await expect(readModelFolder(place)).rejects.toThrow('"block_out_channels"');
  });
});

test("temporal weights go to a file of their own under SVD's names, and onto another spatial UNet", async () => {
  const video = {...tinyUNet, temporal: tinyTemporal};
  const trained = new UNet(video).allocate(1);
  const file = path.join(folder, 'temporal.safetensors');
  await writeSafetensors(file, tensorsToWrite(trained, {chosen: ({part}) => part === 'temporal', nameOf: toSvd}));
  const source = await openSafetensors(file);
  expect(source.tensors.size).toBe(countPart(trained, 'temporal').tensors);
  expect(source.tensors.has('down_blocks.0.resnets.0.temporal_res_block.conv1.weight')).toBe(true);
  const other = new UNet(video).allocate(2);
  await loadWeights(other, source, {pathOf: fromDiffusers, wanted: ({part}) => part === 'temporal'});
  await source.close();
  const fresh = new UNet(video).allocate(2).namedWeights();
  for (const {path: name, part} of other.weightSpecs()) {
    const expected = part === 'temporal' ? trained.namedWeights().get(name)! : fresh.get(name)!;
    expect(bytes(other.namedWeights().get(name)!), name).toEqual(bytes(expected));
  }
  expect(toSvd('mid_block.resnets.1.conv1.weight')).toBe('mid_block.resnets.1.spatial_res_block.conv1.weight');
  expect(toSvd('mid_block.resnets.1.time_mixer.mix_factor')).toBe('mid_block.resnets.1.time_mixer.mix_factor');
  expect(fromDiffusers(toSvd('mid_block.resnets.1.conv1.weight'))).toBe('mid_block.resnets.1.conv1.weight');
});
