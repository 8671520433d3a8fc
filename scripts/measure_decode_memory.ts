// What decoding takes on the torch engine against what was stated beforehand, whole and on strips of rows:
//   node --import tsx scripts/measure_decode_memory.ts [--height 40 --width 64 --frames 2 --width-of-model 64 --temporal]
// The figures of docs/sampling.md.
import {parseArgs} from 'node:util';
import {engineStats, resetPeakMemory} from 'tfjs-backend-torch';
import {openEngine} from '../src/engine/index.ts';
import {type AutoencoderConfig, AutoencoderKL} from '../src/models/index.ts';
import {table} from '../src/platform/table.ts';
import {type DecodePlan, decodeVideo, planDecode} from '../src/sampling/index.ts';
import * as tf from '../src/tf.ts';

const {values} = parseArgs({
  options: {
    height: {type: 'string', default: '40'},
    width: {type: 'string', default: '64'},
    frames: {type: 'string', default: '2'},
    'width-of-model': {type: 'string', default: '64'},
    temporal: {type: 'boolean', default: false},
    skipWhole: {type: 'boolean', default: false},
  },
});
const [height, width, frames, channels] = [values.height, values.width, values.frames, values['width-of-model']].map(
  Number,
) as [number, number, number, number];
const {temporal} = values;
await openEngine('torch');
// Stable Diffusion's decoder (128 there), with layers over time where asked.
const config: AutoencoderConfig = {
  channels: [channels, 2 * channels, 4 * channels, 4 * channels],
  layersPerBlock: 2,
  latentChannels: 4,
  normGroups: channels / 4,
  midAttention: true,
  ...(temporal ? {temporalDecoder: {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}}} : {}),
};
const autoencoder = new AutoencoderKL(config).allocate(1);
const latents = tf.randomNormal([1, frames, height, width, 4], 0, 1, 'float32', 3);
const clip = {frames, height, width, temporal};
const whole = planDecode(autoencoder, clip, Number.POSITIVE_INFINITY).engineBytes;
const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
const rows: string[][] = [];
let reference: Uint8Array | undefined;
for (const share of values.skipWhole ? [0.5, 0.35, 0.25] : [1, 0.5, 0.35, 0.25]) {
  const memory = Math.ceil(whole * share);
  let plan: DecodePlan | undefined;
  const before = engineStats().allocated;
  resetPeakMemory();
  const start = performance.now();
  try {
    const {data} = await decodeVideo(autoencoder, latents, {
      scaleFactor: 1,
      framesAtOnce: frames,
      memory,
      onPlan: made => {
        plan = made;
      },
    });
    const seconds = (performance.now() - start) / 1000;
    const peak = engineStats().peak - before;
    const first = reference ?? data;
    reference = first;
    const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - first[i]!)), 0);
    rows.push([
      mebibytes(memory),
      plan?.stripBytes === undefined
        ? `whole, ${plan?.frames} frames`
        : `strips of ${mebibytes(plan.stripBytes)} MiB, ${plan.frames} frames`,
      mebibytes(plan?.engineBytes ?? 0),
      mebibytes(peak),
      mebibytes(plan?.parkedBytes ?? 0),
      String(worst),
      seconds.toFixed(1),
    ]);
  } catch (error) {
    rows.push([mebibytes(memory), error instanceof Error ? error.message : String(error)]);
  }
}
console.log(
  `${frames} frames of ${height * 8}x${width * 8}, ${channels} channels at full size${temporal ? ', temporal decoder' : ''}\n`,
);
console.log(
  table(
    [
      'bound MiB',
      'decoded',
      'engine stated',
      'engine measured',
      'parked stated',
      'largest difference (0..255)',
      'seconds',
    ],
    rows,
  ),
);
