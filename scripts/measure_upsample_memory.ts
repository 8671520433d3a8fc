// What enlarging takes on the torch engine against what was stated beforehand, whole and on strips of rows: frames in pixel
// space x4 by an untrained UNet, which takes the memory and the time of a trained one:
//   node --import tsx scripts/measure_upsample_memory.ts [--height 320 --width 512 --frames 2 --steps 2 --width-of-model 32]
//     [--at-once 8 --sampler ddim --image: no layers over time] [--memory 4096,2048 in MiB]
// The figures of docs/sampling.md.
import {parseArgs} from 'node:util';
import {makeSchedule, type SamplerName, samplers, stableDiffusionSchedule} from '../src/diffusion/index.ts';
import {openEngine} from '../src/engine/index.ts';
import {UNet, type UNetConfig} from '../src/models/index.ts';
import {upsampleVideo} from '../src/sampling/index.ts';
import {measureBounds, type Work} from './measured_memory.ts';

const {values} = parseArgs({
  allowPositionals: true,
  options: {
    height: {type: 'string', default: '320'},
    width: {type: 'string', default: '512'},
    frames: {type: 'string', default: '2'},
    steps: {type: 'string', default: '2'},
    'at-once': {type: 'string', default: '8'},
    'width-of-model': {type: 'string', default: '32'},
    sampler: {type: 'string', default: 'ddim'},
    image: {type: 'boolean', default: false},
    memory: {type: 'string', default: '4096'},
    child: {type: 'boolean'},
  },
});
const [height, width, frames, steps, framesAtOnce, channels] = [
  values.height,
  values.width,
  values.frames,
  values.steps,
  values['at-once'],
  values['width-of-model'],
].map(Number) as [number, number, number, number, number, number];
const sampler = (Object.keys(samplers) as SamplerName[]).find(name => name === values.sampler);
if (!sampler) throw new Error(`--sampler ${values.sampler}: expected one of ${Object.keys(samplers).join(', ')}.`);
// Four levels: the middle, where every place attends to every other, is at an eighth of the size.
const config: UNetConfig = {
  inChannels: 6,
  outChannels: 3,
  channels: [channels, channels, 2 * channels, 2 * channels],
  layersPerBlock: 1,
  attention: [false, false, false, false],
  heads: {dim: 32},
  classEmbedding: 351,
  linearProjection: true,
  normGroups: 8,
  ...(values.image
    ? {}
    : {
        temporal: {conv: true, attention: true, kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0.5, per: 'layer'}},
      }),
};

const common = {sampler, steps, seed: 1, index: 0, framesAtOnce} as const;

async function prepare(): Promise<Work> {
  const engine = await openEngine('torch');
  const unet = new UNet(config).allocate(1);
  const schedule = makeSchedule(stableDiffusionSchedule);
  const upsampler = {
    unet,
    schedule,
    prediction: 'v',
    factor: 4,
    maxNoiseLevel: 350,
    lowSchedule: schedule,
    latent: undefined,
  } as const;
  // The engine keeps copies of weights that it met twice, in the layout it reads: they are there before anything is measured.
  const small = {data: new Uint8Array(2 * 16 * 16 * 3), shape: [2, 16, 16, 3]} as const;
  await upsampleVideo(upsampler, small, {...common, steps: 2});
  const data = Uint8Array.from({length: frames * height * width * 3}, (_, i) => (i * 37) % 256);
  return async (memory, onPlan) => {
    const {data: enlarged} = await upsampleVideo(
      upsampler,
      {data, shape: [frames, height, width, 3]},
      {
        ...common,
        memory,
        giveBack: engine.giveBack,
        onPlan: ({frames: atOnce, stripBytes, ...stated}) =>
          onPlan({
            how: `${atOnce} of ${frames} frames ${stripBytes === undefined ? 'whole' : `on strips of ${(stripBytes / 2 ** 20).toFixed(0)} MiB`}`,
            ...stated,
          }),
      },
    );
    return enlarged;
  };
}

if (!values.child)
  console.log(
    `${frames} frames of ${height}x${width} enlarged 4 times, ${channels} channels at full size, ${values.image ? 'image' : 'video'} model, ${sampler} with ${steps} steps\n`,
  );
await measureBounds(import.meta.url, values.memory.split(',').map(Number), prepare);
