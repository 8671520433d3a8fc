// Are the samples videos of what was trained on? Distance of sampled frames to held-out clips in the features of a pretrained
// Inception, beside the untrained model's, and the mean change from frame to frame beside real clips'. Exit code 1 if a
// bound is missed. Usage: tsx scripts/measure_samples.ts [--root runs/quickstart] [--count 8] [--steps 50] [--engine auto]
import {mkdtempSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import type {Frames} from '../datasets/index.ts';
import type {EngineName} from '../src/engine/index.ts';
import {table} from '../src/platform/table.ts';
import {loadRun, sampleRun} from '../trainers/index.ts';
import {heldOutBatches} from '../trainers/inputs/data.ts';
import {loadInception, meanFeatureDistance} from './inception_features.ts';

const {values} = parseArgs({
  options: {
    root: {type: 'string', default: 'runs/quickstart'},
    count: {type: 'string', default: '8'},
    steps: {type: 'string', default: '50'},
    engine: {type: 'string', default: 'auto'},
  },
});
const count = Number(values.count);
/** Real clips differ in how much they move: the mean change is taken over this many of them. */
const REAL_CLIPS = 64;
const folder = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-samples-'));

const trained = await samplesOf('trained');
const untrained = await samplesOf('untrained');
const {config} = await loadRun(path.join(values.root, 'temporal'));
const heldOut = await heldOutBatches({...config, heldOut: {...config.heldOut, clips: REAL_CLIPS}});
const real = heldOut.map(({frames, shape: [, t, h, w]}): Frames => ({data: frames, shape: [t, h, w, 3]}));

const inception = await loadInception();
const features = async (videos: readonly Frames[]) =>
  (await Promise.all(videos.map(({data, shape}) => inception.features(data, shape)))).flat();
const [ofReal, ofTrained, ofUntrained] = [
  await features(real.slice(0, count)),
  await features(trained),
  await features(untrained),
];
const distance = {trained: meanFeatureDistance(ofTrained, ofReal), untrained: meanFeatureDistance(ofUntrained, ofReal)};
const motion = {trained: meanChange(trained), real: meanChange(real), untrained: meanChange(untrained)};
const [closeness, ratio] = [distance.trained / distance.untrained, motion.trained / motion.real];
rmSync(folder, {recursive: true, force: true});

console.log(
  `\n${count} sampled videos of ${values.root}/temporal, ${values.steps} DDIM steps, against held-out clips\n`,
);
console.log(
  table(
    ['', 'feature distance', 'mean change per frame (of 255)'],
    [
      ['real', '0', motion.real.toFixed(2)],
      ['sampled', distance.trained.toFixed(3), motion.trained.toFixed(2)],
      ['untrained model', distance.untrained.toFixed(3), motion.untrained.toFixed(2)],
    ],
  ),
);
console.log(
  `\ndistance: ${closeness.toFixed(3)} of the untrained model's (under 0.5: ${closeness < 0.5 ? 'yes' : 'NO'})`,
);
console.log(
  `change per frame: ${ratio.toFixed(2)} of real clips' (0.5 to 2: ${ratio > 0.5 && ratio < 2 ? 'yes' : 'NO'})`,
);
process.exit(closeness < 0.5 && ratio > 0.5 && ratio < 2 ? 0 : 1);

/** Samples of the run, or of the same networks with their initial weights. */
async function samplesOf(which: 'trained' | 'untrained'): Promise<Frames[]> {
  const videos: Frames[] = [];
  await sampleRun({
    run: path.join(values.root, 'temporal'),
    out: path.join(folder, which),
    count,
    sampling: {steps: Number(values.steps)},
    seed: 11,
    weights: 'ema',
    engine: values.engine as EngineName | 'auto',
    untrained: which === 'untrained',
    onProgress: () => undefined,
    onVideo: video => videos.push(video),
  });
  return videos;
}

/** Mean absolute difference of neighbouring frames. */
function meanChange(videos: readonly Frames[]): number {
  let [sum, n] = [0, 0];
  for (const {
    data,
    shape: [t, h, w],
  } of videos) {
    const size = h * w * 3;
    for (let i = size; i < t * size; i++) {
      sum += Math.abs(data[i]! - data[i - size]!);
      n += 1;
    }
  }
  return sum / n;
}
