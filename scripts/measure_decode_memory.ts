// What decoding takes on the torch engine against what was stated beforehand, whole and on strips of rows:
//   node --import tsx scripts/measure_decode_memory.ts [--height 40 --width 64 --frames 2 --width-of-model 64 --temporal]
//     [--memory 570,285 in MiB; else shares of what decoding whole takes] [--floats: compare pixels in [-1,1], not bytes]
// The figures of docs/sampling.md.
import {parseArgs} from 'node:util';
import {openEngine} from '../src/engine/index.ts';
import {type AutoencoderConfig, AutoencoderKL} from '../src/models/index.ts';
import {decodeInSteps, decodeVideo, planDecode, stripsOf} from '../src/sampling/index.ts';
import * as tf from '../src/tf.ts';
import {measureBounds, type Work} from './measured_memory.ts';

const {values} = parseArgs({
  allowPositionals: true,
  options: {
    height: {type: 'string', default: '40'},
    width: {type: 'string', default: '64'},
    frames: {type: 'string', default: '2'},
    'width-of-model': {type: 'string', default: '64'},
    temporal: {type: 'boolean', default: false},
    memory: {type: 'string'},
    floats: {type: 'boolean', default: false},
    child: {type: 'boolean'},
  },
});
const [height, width, frames, channels] = [values.height, values.width, values.frames, values['width-of-model']].map(
  Number,
) as [number, number, number, number];
const {temporal, floats} = values;
// Stable Diffusion's decoder (128 there), with layers over time where asked.
const config: AutoencoderConfig = {
  channels: [channels, 2 * channels, 4 * channels, 4 * channels],
  layersPerBlock: 2,
  latentChannels: 4,
  normGroups: channels / 4,
  midAttention: true,
  ...(temporal ? {temporalDecoder: {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}}} : {}),
};
const clip = {frames, height, width, temporal};

async function prepare(): Promise<Work> {
  const engine = await openEngine('torch');
  const autoencoder = new AutoencoderKL(config).allocate(1);
  const latents = tf.randomNormal([1, frames, height, width, 4], 0, 1, 'float32', 3) as tf.Tensor5D;
  // The engine keeps copies of weights that it met twice, in the layout it reads: they are there before anything is measured.
  for (let i = 0; i < 2; i++) decodeInSteps(autoencoder, tf.zeros<tf.Rank.R4>([2, 8, 8, 4]), {temporal}).dispose();
  const before = engine.memory().bytes;
  return async (memory, onPlan) => {
    const told = ({frames: atOnce, stripBytes, engineBytes, parkedBytes}: ReturnType<typeof planDecode>) =>
      onPlan({
        how: `${atOnce} of ${frames} frames ${stripBytes === undefined ? 'whole' : `on strips of ${(stripBytes / 2 ** 20).toFixed(0)} MiB`}`,
        engineBytes,
        parkedBytes,
      });
    if (!floats) {
      const options = {scaleFactor: 1, framesAtOnce: frames, memory, giveBack: engine.giveBack, onPlan: told};
      return (await decodeVideo(autoencoder, latents, options)).data;
    }
    const plan = planDecode(autoencoder, clip, memory);
    told(plan);
    const raw: tf.Tensor4D = tf.reshape(latents, [frames, height, width, 4]);
    const strips = plan.stripBytes === undefined ? undefined : stripsOf(plan.stripBytes);
    const trim = () => engine.giveBack(before + memory - plan.parkedBytes);
    return decodeInSteps(autoencoder, raw, {temporal, strips, trim}).data<'float32'>();
  };
}

const whole = planDecode(new AutoencoderKL(config), clip, Number.POSITIVE_INFINITY).engineBytes / 2 ** 20;
const bounds = values.memory?.split(',').map(Number) ?? [1, 0.5, 0.35, 0.25].map(share => Math.ceil(whole * share));
if (!values.child)
  console.log(
    `${frames} frames of ${height * 8}x${width * 8}, ${channels} channels at full size${temporal ? ', temporal decoder' : ''}\n`,
  );
await measureBounds(import.meta.url, bounds, prepare);
