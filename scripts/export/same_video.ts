// The video that the example samples from an exported run with onnxruntime alone, against the engine's for the same seed. Exit
// code 1 where a pixel differs by more than 2 of 255, or where the video does not move.
// Usage: tsx scripts/export/same_video.ts [--run runs/quickstart/temporal] [--seed 7] [--steps 25] [--engine auto]
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import type {Frames} from '../../datasets/index.ts';
import type {EngineName} from '../../src/engine/index.ts';
import {exportRun} from '../../trainers/export_run.ts';
import {sampleRun} from '../../trainers/index.ts';

const {values} = parseArgs({
  options: {
    run: {type: 'string', default: 'runs/quickstart/temporal'},
    seed: {type: 'string', default: '7'},
    steps: {type: 'string', default: '25'},
    engine: {type: 'string', default: 'auto'},
  },
});
const {run} = values;
const [seed, steps] = [Number(values.seed), Number(values.steps)];
const engine = values.engine as EngineName | 'auto';
const folder = mkdtempSync(path.join(os.tmpdir(), 'same-video-'));

try {
  const onnx = path.join(folder, 'onnx');
  const common = {run, steps, engine, weights: 'ema'} as const;
  const exported = await exportRun({
    ...common,
    component: 'pipeline',
    out: onnx,
    half: false,
    verify: true,
    dynamic: [],
    guidance: 1,
  });
  for (const [name, {verification}] of Object.entries(exported))
    console.log(`${name}: relative error ${verification!.worst.toExponential(1)}`);
  const image = path.join(folder, 'frames.ppm');
  const example = path.join(import.meta.dirname, '../../examples/onnx/sample.mjs');
  const {status, stderr} = spawnSync(process.execPath, [example, onnx, String(seed), image], {encoding: 'utf8'});
  if (status !== 0) throw new Error(stderr);
  const videos: Frames[] = [];
  await sampleRun({
    run,
    engine,
    seed,
    out: path.join(folder, 'engine'),
    count: 1,
    sampling: {steps},
    onProgress: () => {},
    onVideo: video => videos.push(video),
  });
  const {data, shape} = videos[0]!;
  const [count, height, width] = shape;
  const bytes = readFileSync(image);
  const strip = bytes.subarray(bytes.length - data.length);

  let [worst, differing, change] = [0, 0, 0];
  for (let t = 0; t < count; t++) {
    for (let y = 0; y < height; y++) {
      for (let k = 0; k < width * 3; k++) {
        const at = (t * height + y) * width * 3 + k;
        const difference = Math.abs(strip[(y * count + t) * width * 3 + k]! - data[at]!);
        worst = Math.max(worst, difference);
        differing += difference > 0 ? 1 : 0;
        if (t > 0) change += Math.abs(data[at]! - data[at - height * width * 3]!);
      }
    }
  }
  const motion = change / (data.length - height * width * 3);
  console.log(
    `${count} frames of ${width}x${height}, ${steps} steps, mean change from frame to frame ${motion.toFixed(2)} of 255`,
  );
  console.log(
    `largest difference ${worst} of 255 (at most 2), ${((100 * differing) / data.length).toFixed(3)} % of the values differ`,
  );
  process.exitCode = worst <= 2 && motion > 1 ? 0 : 1;
} finally {
  rmSync(folder, {recursive: true});
}
