// A UNet of Stable Diffusion's full shape, with random weights, to ONNX with external data: seconds, peak memory against the
// weights' size, and whether onnxruntime-node opens (and, with --run, runs) it. Exit code 1 where a bound is missed.
// Usage: tsx scripts/export/full_unet.ts [--preset sd1|sd2] [--video] [--half] [--run] [--out FOLDER]
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {componentFunction, exportComponent, type WeightValues} from '../../src/export/index.ts';
import {unetPresets, videoLdmTemporal} from '../../src/models/index.ts';
import {streamOf, uniforms} from '../../src/random/index.ts';

const {values: options} = parseArgs({
  options: {
    preset: {type: 'string', default: 'sd1'},
    video: {type: 'boolean', default: false},
    half: {type: 'boolean', default: false},
    run: {type: 'boolean', default: false},
    out: {type: 'string', default: os.tmpdir()},
  },
});
const preset = options.preset === 'sd2' ? unetPresets.sd2 : unetPresets.sd1;
const config = options.video ? {...preset, temporal: videoLdmTemporal} : preset;
const sizes = {batch: 1, ...(options.video ? {frames: 8} : {}), height: 64, width: 64, tokens: 77};

const values: WeightValues = ({path: name, shape}) => {
  const count = shape.reduce((a, b) => a * b, 1);
  const scale = shape.length > 1 ? Math.sqrt((3 * shape.at(-1)!) / count) : 0.1;
  const shift = /norm.*weight$/.test(name) ? 1 : 0;
  const draw = uniforms({seed: 4, stream: streamOf(name), step: 0}, count);
  for (let i = 0; i < count; i++) draw[i] = scale * (2 * draw[i]! - 1) + shift;
  return draw;
};

const folder = mkdtempSync(path.join(options.out, 'full-unet-'));
try {
  const file = path.join(folder, 'unet.onnx');
  const from = {component: 'unet', config} as const;
  const before = peakBytes();
  const start = performance.now();
  const {written, parameters} = await exportComponent(from, values, file, {
    sizes,
    verify: false,
    externalAbove: 0,
    ...(options.half ? {weightType: 'float16'} : {}),
  });
  const seconds = (performance.now() - start) / 1000;
  const peak = peakBytes();
  const bytes = parameters * (options.half ? 2 : 4);
  const gib = (size: number) => `${(size / 2 ** 30).toFixed(2)} GiB`;
  console.log(`${parameters.toLocaleString('en')} parameters, ${gib(bytes)} of weights`);
  for (const name of written.files) console.log(`  ${path.basename(name)}: ${gib(statSync(name).size)}`);
  console.log(`written in ${seconds.toFixed(0)} s; peak memory ${gib(peak)} (${gib(before)} before)`);
  const {inputs, ranges} = componentFunction(from, {sizes});
  const probe = spawnSync(
    process.execPath,
    ['--import', 'tsx', path.join(import.meta.dirname, 'open_model.ts'), file],
    {
      input: JSON.stringify({inputs, ranges, run: options.run}),
      encoding: 'utf8',
    },
  );
  console.log(probe.status === 0 ? probe.stdout.trim() : `onnxruntime-node refuses it: ${probe.stderr}`);
  const good = seconds < 180 && peak < 1.5 * bytes && probe.status === 0;
  console.log(good ? 'Every bound is kept.' : 'A BOUND IS MISSED: 180 s, 1.5 x the weights in memory, opened.');
  process.exitCode = good ? 0 : 1;
} finally {
  rmSync(folder, {recursive: true});
}

/** The most memory that this process has held, as Linux counts it. */
function peakBytes(): number {
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}
