// Speed of exported UNets against PyTorch's own export of the same network with the same weights: one process, the same
// threads, runs alternating, medians; the outputs must be equal. Exit code 1 where ours takes more than 1.05 times as long.
// Needs python3-torch (Debian). Usage: tsx scripts/export/against_pytorch.ts [--threads 1] [--runs 31]
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {loadConfig} from '../../src/config/load.ts';
import {componentFunction, exportComponent, relativeError, type WeightValues} from '../../src/export/index.ts';
import {type HostArray, openSession, runSession} from '../../src/export/runtime.ts';
import {concrete} from '../../src/export/to_onnx.ts';
import {randomInput} from '../../src/export/verify.ts';
import type {UNetConfig} from '../../src/models/index.ts';
import {table} from '../../src/platform/table.ts';
import {normals, streamOf} from '../../src/random/index.ts';
import {hostF32} from '../../src/weights/host_tensor.ts';
import {torchShape, toTorch} from '../../src/weights/layouts.ts';
import {writeSafetensors} from '../../src/weights/safetensors.ts';
import {layersOverTime} from '../../trainers/parents/layers_over_time.ts';

const {values: options} = parseArgs({
  options: {threads: {type: 'string', default: '1'}, runs: {type: 'string', default: '31'}},
});
const [threads, runs] = [Number(options.threads), Number(options.runs)];
const bound = 1.05;

interface Case {
  readonly name: string;
  readonly config: UNetConfig;
  readonly sizes: {batch: number; frames?: number; height: number; width: number; tokens: number};
}

/** The shipped configurations of one size: the image model, the same with text, and with layers over time. */
function casesOf(size: 'tiny' | 'small'): Case[] {
  const image = loadConfig(path.join('configs', size, 'image.yaml'));
  const temporal = loadConfig(path.join('configs', size, 'temporal.yaml'));
  if (image.stage !== 'image' || temporal.stage !== 'temporal' || !image.unet)
    throw new Error('These configurations are no longer those of an image model and of its temporal layers.');
  const {unet} = image;
  const {frames} = temporal.data;
  const [height, width] = [image.data.size[0] / 8, image.data.size[1] / 8];
  const over = layersOverTime(temporal.temporal, undefined, {from: undefined, frames});
  const sizes = {height, width, tokens: 77};
  return [
    {name: `${size} image UNet, 8 images`, config: unet, sizes: {batch: 8, ...sizes}},
    {
      name: `${size} image UNet with text, 8 images of 16x16`,
      config: {...unet, crossAttentionDim: 64},
      sizes: {...sizes, batch: 8, height: 16, width: 16},
    },
    {
      name: `${size} video UNet, ${frames} frames`,
      config: {...unet, temporal: over},
      sizes: {batch: 1, frames, ...sizes},
    },
    {
      name: `${size} video UNet with text, ${frames} frames`,
      config: {...unet, crossAttentionDim: 64, temporal: over},
      sizes: {batch: 1, frames, ...sizes},
    },
  ];
}

const weightOf: WeightValues = ({path: name, shape}) => {
  const count = shape.reduce((a, b) => a * b, 1);
  const fanIn = count / shape.at(-1)!;
  const scale = shape.length > 1 ? 1 / Math.sqrt(fanIn) : 0.1;
  const draw = normals({seed: 8, stream: streamOf(name), step: 0}, count);
  return draw.map(v => scale * v + (/norm.*weight$/.test(name) ? 1 : 0));
};

const floatsOf = (file: string) => {
  const {buffer, byteOffset, byteLength} = readFileSync(file);
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
};

/** Channels last to channels first, or back. */
function moved({data, shape}: HostArray, channels: 'first' | 'last'): HostArray {
  const lead = shape.slice(0, -3).reduce((a, b) => a * b, 1);
  const [a, b, c] = shape.slice(-3) as [number, number, number];
  const result = new Float32Array(data.length);
  const [rows, columns] = channels === 'first' ? [a * b, c] : [a, b * c];
  for (let n = 0; n < lead; n++) {
    const from = n * rows * columns;
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) result[from + j * rows + i] = data[from + i * columns + j]!;
  }
  const last = channels === 'first' ? [c, a, b] : [b, c, a];
  return {dtype: 'float32', shape: [...shape.slice(0, -3), ...last], data: result};
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function measure({name, config, sizes}: Case, folder: string): Promise<{row: string[]; good: boolean}> {
  const from = {component: 'unet', config} as const;
  const {model, inputs, ranges} = componentFunction(from, {sizes});
  const given = Object.fromEntries(
    concrete(inputs, {}).map((input, i) => [input.name, randomInput(input, i, {ranges})]),
  );
  const theirs = {...given, latents: moved(given.latents!, 'first')};
  for (const [key, {data}] of Object.entries(theirs)) writeFileSync(path.join(folder, `${key}.raw`), data);
  const shapes = Object.fromEntries(Object.entries(theirs).map(([key, {shape}]) => [key, shape]));
  writeFileSync(path.join(folder, 'inputs.json'), JSON.stringify(shapes));
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const weights = model.weightSpecs().map(spec => {
    const shape = torchShape(spec.shape, spec.layout);
    const data = () => hostF32(shape, toTorch(weightOf(spec), spec.shape, spec.layout)).data;
    return [spec.path, {dtype: 'F32', shape, data}] as const;
  });
  await writeSafetensors(path.join(folder, 'weights.safetensors'), weights);
  await exportComponent(from, weightOf, path.join(folder, 'ours.onnx'), {sizes, verify: false});
  const python = spawnSync('/usr/bin/python3', [path.join(import.meta.dirname, 'pytorch_unet.py'), folder], {
    encoding: 'utf8',
  });
  if (python.status !== 0) throw new Error(`PyTorch's export failed: ${python.stderr}`);
  const parameters = Number(/(\d+) parameters/.exec(python.stdout)![1]);

  const pair = {
    ours: await openSession(path.join(folder, 'ours.onnx'), {logLevel: 3, threads}),
    theirs: await openSession(path.join(folder, 'pytorch.onnx'), {logLevel: 3, threads}),
  };
  const times = {ours: [] as number[], theirs: [] as number[]};
  const processor = {ours: [] as number[], theirs: [] as number[]};
  const run = async (which: 'ours' | 'theirs') => {
    const [start, used] = [performance.now(), process.cpuUsage()];
    const {prediction} = await runSession(pair[which], which === 'ours' ? given : theirs);
    times[which].push(performance.now() - start);
    const {user, system} = process.cpuUsage(used);
    processor[which].push((user + system) / 1000);
    return prediction!;
  };
  const difference = relativeError((await run('ours')).data, moved(await run('theirs'), 'last').data);
  const reference = {
    dtype: 'float32',
    shape: shapes.latents!,
    data: floatsOf(path.join(folder, 'pytorch.raw')),
  } as const;
  const error = relativeError((await run('ours')).data, moved(reference, 'last').data);
  await run('theirs');
  for (const list of [...Object.values(times), ...Object.values(processor)]) list.length = 0; // the first runs allocate
  for (let i = 0; i < runs; i++) {
    const order = i % 2 === 0 ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const);
    for (const which of order) await run(which);
  }
  await Promise.all([pair.ours.release(), pair.theirs.release()]);
  const [a, b] = [median(times.ours), median(times.theirs)];
  const share = median(processor.ours) / median(processor.theirs);
  return {
    row: [
      name,
      parameters.toLocaleString('en'),
      `${a.toFixed(2)} ms`,
      `${b.toFixed(2)} ms`,
      (a / b).toFixed(3),
      share.toFixed(3),
      Math.max(error, difference).toExponential(1),
    ],
    good: a / b <= bound && error < 1e-4 && difference < 1e-4,
  };
}

const rows: string[][] = [];
let good = true;
for (const each of [...casesOf('tiny'), ...casesOf('small')]) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'against-pytorch-'));
  try {
    const result = await measure(each, folder);
    rows.push(result.row);
    good &&= result.good;
  } finally {
    rmSync(folder, {recursive: true});
  }
}
const torch = spawnSync('/usr/bin/python3', ['-c', 'import torch; print(torch.__version__)'], {encoding: 'utf8'});
console.log(
  `PyTorch ${torch.stdout.trim()}, its exporter at opset 17; onnxruntime-node, ${threads} thread(s), medians of ${runs}\n`,
);
console.log(
  table(['network', 'parameters', 'ours', "PyTorch's", 'ratio', 'of processor time', 'relative L2 difference'], rows),
);
process.exit(good ? 0 : 1);
