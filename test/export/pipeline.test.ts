// A whole pipeline, exported: the example samples it in plain Node, and its video equals the engine's.
import '@tensorflow/tfjs-backend-cpu';
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import ort from 'onnxruntime-node';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {samplingNoise} from '../../src/diffusion/noise.ts';
import {samplers} from '../../src/diffusion/samplers/index.ts';
import {makeSchedule, stableDiffusionSchedule} from '../../src/diffusion/schedule.ts';
import {exportPipeline, type WeightValues} from '../../src/export/index.ts';
import {
  AutoencoderKL,
  ConditionEncoder,
  type Conditions,
  latentsToRaw,
  pixelsToFrames,
  UNet,
} from '../../src/models/index.ts';
import {normals, streamOf} from '../../src/random/index.ts';
import {guidedDenoise} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {chromium, openPage} from '../helpers/chromium.ts';
import {tinyTemporal, tinyUNet} from '../models/tiny.ts';
import {checkedOpset, checkFolder} from './checker.ts';
import {conditions} from './component_cases.ts';

const {crossAttentionDim: _, ...textless} = tinyUNet;
const unet = {...textless, temporal: tinyTemporal};
/** The same asked for by text, labels, boxes and frame rate, and with a path for given frames. */
const askedUNet = {
  ...tinyUNet,
  crossAttentionDim: conditions.dim,
  addedNumbers: {count: 1, dim: 8},
  temporal: {...tinyTemporal, given: {inputs: 5, channels: 4}},
};
const asked = {
  text: 'A boat at sea',
  labels: {night: 1, crowd: 5},
  boxes: [{class: 'car', corners: [0.1, 0.2, 0.5, 0.9] as const}],
  fps: 8,
};
const guidanceScale = 3;
const autoencoder = {
  channels: [8, 16],
  layersPerBlock: 1,
  latentChannels: 4,
  normGroups: 4,
  midAttention: true,
  scaleFactor: 0.5,
  temporalDecoder: {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0.4, per: 'layer'}},
} as const;
const [frames, height, width, steps, seed] = [4, 6, 8, 5, 7];

const values: WeightValues = ({path: name, shape}) => {
  const count = shape.reduce((a, b) => a * b, 1);
  return normals({seed: 6, stream: streamOf(name), step: 0}, count).map(
    v => 0.15 * v + (name.includes('norm') ? 0.8 : 0),
  );
};

let out = '';
beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'onnx-pipeline-'));
  await tf.setBackend('cpu');
});
afterAll(() => rm(out, {recursive: true}));

/** The same seed, sampled and decoded by the library: [T, H, W, 3] frames; of the model with conditions where they are given. */
async function engineFrames(wanted?: Conditions): Promise<{shape: number[]; data: Int32Array}> {
  const fill = ({path: name, shape}: Parameters<WeightValues>[0]) =>
    tf.tensor(values({path: name, shape} as Parameters<WeightValues>[0]), [...shape]);
  const model = new UNet(wanted ? askedUNet : unet).allocateFrom(fill);
  const encoder = new ConditionEncoder(conditions).allocateFrom(fill);
  const [own, none] = [encoder.encode([wanted ?? {}]), encoder.encode([{}])];
  const decoder = new AutoencoderKL(autoencoder).allocateFrom(fill);
  const latents = await samplers.ddim({
    denoise: wanted
      ? guidedDenoise(model, 'video', {conditions: own, unconditional: none, scale: guidanceScale})
      : (noisy, timesteps) => model.forward({latents: noisy, timesteps}),
    schedule: makeSchedule(stableDiffusionSchedule),
    prediction: 'v',
    noise: samplingNoise(seed, 0, 1, [frames, height, width, 4]),
    steps,
  });
  const bytes = tf.tidy(() =>
    pixelsToFrames(decoder.decode(latentsToRaw(latents, autoencoder.scaleFactor) as tf.Tensor5D)),
  );
  const result = {shape: bytes.shape.slice(1), data: Int32Array.from(bytes.dataSync())};
  tf.dispose([latents, bytes, own, none]);
  model.dispose();
  encoder.dispose();
  decoder.dispose();
  return result;
}

const sampler = new URL('../../examples/onnx/sampler.mjs', import.meta.url).href;

function moduleUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

test('the example samples the video that the engine samples, without TensorFlow.js', async () => {
  const {description, components} = await exportPipeline(
    {unet: {config: unet, values}, autoencoder: {config: autoencoder, values}},
    out,
    {schedule: stableDiffusionSchedule, prediction: 'v', steps, frames, height, width},
  );
  for (const {verification} of Object.values(components)) expect(verification!.worst).toBeLessThan(1e-5);
  expect(description.steps).toHaveLength(steps);
  const image = path.join(out, 'sample.ppm');
  const example = path.join(import.meta.dirname, '../../examples/onnx/sample.mjs');
  const hooks = moduleUrl(
    "export async function resolve(s, c, next) { if (s.includes('tensorflow')) throw new Error('TensorFlow.js was loaded: ' + s); return next(s, c); }",
  );
  const guard = moduleUrl(`import {register} from 'node:module'; register(${JSON.stringify(hooks)});`);
  const {status, stderr} = spawnSync(process.execPath, ['--import', guard, example, out, String(seed), image], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const ppm = await readFile(image);
  const header = `P6 ${frames * width * 2} ${height * 2} 255\n`;
  expect(ppm.subarray(0, header.length).toString()).toBe(header);
  const strip = ppm.subarray(header.length);
  const engine = await engineFrames();
  const [count, h, w] = engine.shape as [number, number, number];
  let worst = 0;
  let motion = 0;
  for (let t = 0; t < count; t++) {
    for (let y = 0; y < h; y++) {
      for (let k = 0; k < w * 3; k++) {
        const at = (frame: number) => engine.data[(frame * h + y) * w * 3 + k]!;
        worst = Math.max(worst, Math.abs(strip[(y * count + t) * w * 3 + k]! - at(t)));
        if (t > 0) motion = Math.max(motion, Math.abs(at(t) - at(t - 1)));
      }
    }
  }
  expect(motion).toBeGreaterThan(20); // a video that stands still would prove little
  expect(worst).toBeLessThanOrEqual(2);
}, 120_000);

test('a model of text, labels, boxes and frame rate is asked for in the same words', async () => {
  await exportPipeline(
    {
      unet: {config: askedUNet, values},
      autoencoder: {config: autoencoder, values},
      conditions: {config: conditions, values},
    },
    path.join(out, 'asked'),
    {schedule: stableDiffusionSchedule, prediction: 'v', steps, frames, height, width, guidanceScale},
  );
  const sample = async (given: object) => {
    const folder = path.join(out, 'asked');
    const pipeline = JSON.parse(await readFile(path.join(folder, 'pipeline.json'), 'utf8')) as object;
    const open = (file: string) => ort.InferenceSession.create(path.join(folder, file));
    const {sampleVideo} = (await import(sampler)) as {
      sampleVideo(...args: unknown[]): Promise<{frames: Uint8Array}>;
    };
    return (await sampleVideo(ort, pipeline, open, {seed, conditions: given})).frames;
  };
  const found = await sample(asked);
  const engine = await engineFrames(asked);
  const differences = Array.from(found, (v, i) => Math.abs(v - engine.data[i]!));
  expect(differences).toHaveLength(engine.data.length);
  expect(Math.max(...differences)).toBeLessThanOrEqual(2);
  // Every condition is heard.
  for (const other of [{text: 'a car'}, {labels: {night: 0, crowd: 5}}, {boxes: []}, {fps: 30}]) {
    const frames = await sample({...asked, ...other});
    expect(
      frames.some((v, i) => v !== found[i]),
      JSON.stringify(other),
    ).toBe(true);
  }
  await expect(sample({labels: {night: 2}})).rejects.toThrow('The label "night" has no value "2"');
}, 120_000);

test.skipIf(checkedOpset === undefined)('the checker of python3-onnx accepts every file of both pipelines', () => {
  const {count, problems} = checkFolder(out);
  expect(problems).toEqual([]);
  expect(count).toBeGreaterThanOrEqual(5);
});

/** Chromium computes WebGPU in software where it is told to. */
const flagsOf = {
  wasm: ['--disable-gpu'],
  webgpu: ['--enable-unsafe-webgpu', '--enable-unsafe-swiftshader', '--use-webgpu-adapter=swiftshader'],
};

describe.each(['wasm', 'webgpu'] as const)('on %s', provider => {
  test.skipIf(!chromium)(
    'the web page samples the same video in headless Chromium',
    async ({skip}) => {
      const examples = path.join(import.meta.dirname, '../../examples/onnx');
      const server = spawn(process.execPath, [path.join(examples, 'serve.mjs'), path.join(out, 'asked'), '0'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        const [address] = (await once(server.stdout, 'data')) as [Buffer];
        const {boxes: _, ...shown} = asked; // the page has no fields for boxes
        const {text, labels, fps} = shown;
        const fields = {seed, text, 'label.night': labels.night, 'label.crowd': labels.crowd, fps};
        const query = new URLSearchParams(Object.entries(fields).map(([name, value]) => [name, String(value)]));
        const url = `${address.toString().trim()}?${query}`;
        const page = await openPage(url, path.join(out, `chromium-${provider}`), flagsOf[provider]);
        let status: string;
        try {
          const adapter = await page.evaluate('navigator.gpu?.requestAdapter().then(Boolean)');
          if (provider === 'webgpu' && adapter !== true) skip('this Chromium has no WebGPU, not even in software');
          const text = await page.waitFor(
            "document.querySelector('#status')?.textContent ?? ''",
            value => /^(Seed|It failed)/.test(String(value)),
            400_000,
          );
          status = String(text);
        } finally {
          await page.close();
        }
        expect(status).toMatch(
          new RegExp(
            `^Seed ${seed}: ${frames} frames of ${2 * width}x${2 * height}, mean [0-9.]+, .* on ${provider}\\.$`,
          ),
        );
        const engine = await engineFrames(shown);
        const mean = engine.data.reduce((sum, v) => sum + v, 0) / engine.data.length;
        expect(Math.abs(Number(/mean ([0-9.]+)/.exec(status)![1]) - mean)).toBeLessThan(0.05);
      } finally {
        server.kill();
        await once(server, 'close');
      }
    },
    480_000,
  );
});
