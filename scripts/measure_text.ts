// Does text steer? On captioned moving shapes: held-out loss with the right captions beside that with other clips' captions and
// with the opposite direction in the same caption, and how often a sample goes where its caption says. Exit code 1 if a bound is
// missed.
// Usage: tsx scripts/measure_text.ts [--samples 32] [--guidance 3] [-- train arguments]
import {parseArgs} from 'node:util';
import {makeSchedule} from '../src/diffusion/index.ts';
import {openEngine} from '../src/engine/index.ts';
import {type ConditionEncoder, UNet} from '../src/models/index.ts';
import {table} from '../src/platform/table.ts';
import {decodeLatents, sampleLatents} from '../src/sampling/index.ts';
import * as tf from '../src/tf.ts';
import {type LoadedRun, loadRun} from '../trainers/index.ts';
import {buildConditionEncoder} from '../trainers/inputs/conditions.ts';
import {heldOutBatches} from '../trainers/inputs/data.ts';
import {openLatentDiffusion} from '../trainers/inputs/latent_diffusion.ts';
import {allocateExactly, buildAutoencoder} from '../trainers/parents/frozen.ts';
import {captionOf, type Direction, directionOf, directions, movingShape} from './moving_shapes.ts';
import {makeShapeShards, shapeRun} from './shape_runs.ts';
import {heldOut} from './stage_runs.ts';

const {values, positionals} = parseArgs({
  options: {
    samples: {type: 'string', default: '32'},
    guidance: {type: 'string', default: '3'},
    engine: {type: 'string', default: 'auto'},
  },
  allowPositionals: true,
});
const arguments_ = ['--engine', values.engine, ...positionals];
const samples = Number(values.samples);
const opposite = {left: 'right', right: 'left', up: 'down', down: 'up'} as const satisfies Record<Direction, Direction>;

await makeShapeShards();
const image = heldOut(shapeRun('image', arguments_)).last;
const run = await loadRun(shapeRun('temporal', arguments_));
const engine = await openEngine('auto');
const unet = allocateExactly(new UNet(run.unet!.config), run.unet!.weights, 'model');
const encoder = buildConditionEncoder(run.conditions!);
const losses = await lossesOf(run, unet, encoder);
const right = await followed(run, unet, encoder);

/**
 * The image model may know from the caption along which axis and on which side the shape is. Which way it goes is then right by
 * chance in one of two cases, 24 of 32 or more with probability 0.0035.
 */
const checks = [
  {name: 'video model: right captions below other captions', value: 1 - losses.own / losses.others, bound: 0.05},
  {
    name: 'image model: right captions below other captions',
    value: 1 - image.loss! / image.lossOtherConditions!,
    bound: 0.05,
  },
  {name: `samples that go where their caption says (of ${samples}; chance is 50 %)`, value: right, bound: 0.75},
];
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
console.log(
  `\nheld-out loss of the video model (engine ${engine.name}): right captions ${losses.own.toFixed(4)}, other clips' ${losses.others.toFixed(4)}, the opposite direction ${losses.opposite.toFixed(4)}; alpha = 1: ${losses.alphaOne.toFixed(4)}, the opposite direction ${losses.alphaOneOpposite.toFixed(4)}\n`,
);
console.log(
  table(
    ['figure', 'measured', 'at least', 'reached'],
    checks.map(({name, value, bound}) => [name, percent(value), percent(bound), value >= bound ? 'yes' : 'NO']),
  ),
);
process.exit(checks.every(({value, bound}) => value >= bound) ? 0 : 1);

/** Of the same clips and noise: told their own captions, the next clip's, their own with the opposite direction; without layers over time. */
async function lossesOf(
  {config, ...parts}: LoadedRun,
  model: UNet,
  conditions: ConditionEncoder,
): Promise<Record<'own' | 'others' | 'opposite' | 'alphaOne' | 'alphaOneOpposite', number>> {
  if (config.stage !== 'temporal') throw new Error(`Expected a run of stage temporal, not ${config.stage}.`);
  const clips = await heldOutBatches({...config, heldOut: {...config.heldOut, clips: 32}});
  const diffusion = openLatentDiffusion(parts, config);
  const shown = diffusion.heldOut(clips, 'clip');
  const captions = clips.map(clip => clip.captions[0]!);
  const loss = async (caption: (clip: number) => string, mode: 'video' | 'image' = 'video') => {
    const {mean} = await shown.loss(
      i => (latents, timesteps) =>
        model.forward({latents, timesteps, mode, ...conditions.encode([{text: caption(i)}])}),
    );
    return mean;
  };
  const turned = (caption: string) => caption.replace(/\w+$/, direction => opposite[direction as Direction]);
  const figures = {
    own: await loss(i => captions[i]!),
    others: await loss(i => captions[(i + 1) % captions.length]!),
    opposite: await loss(i => turned(captions[i]!)),
    alphaOne: await loss(i => captions[i]!, 'image'),
    alphaOneOpposite: await loss(i => turned(captions[i]!), 'image'),
  };
  shown.dispose();
  diffusion.dispose();
  return figures;
}

/** The share of samples that move as their captions say. */
async function followed(loaded: LoadedRun, model: UNet, conditions: ConditionEncoder): Promise<number> {
  const autoencoder = buildAutoencoder({autoencoder: loaded.autoencoder!});
  const unconditional = conditions.encode([{}]);
  const {schedule, prediction} = loaded.diffusion!;
  const [height, width] = loaded.config.data.size;
  let hits = 0;
  for (let index = 0; index < samples; index++) {
    const direction = directions[index % directions.length]!;
    const text = captionOf({...movingShape(77, index), direction});
    const own = conditions.encode([{text}]);
    const latents = await sampleLatents(
      {unet: model, schedule: makeSchedule(schedule), prediction},
      {
        frames: loaded.config.data.frames,
        latentSize: [height / autoencoder.factor, width / autoencoder.factor],
        steps: 12,
        seed: 5,
        index,
        guidance: {conditions: own, unconditional, scale: Number(values.guidance)},
      },
    );
    const {data, shape} = await decodeLatents(autoencoder, latents, loaded.scaleFactor!);
    hits += Number(directionOf(data, shape) === direction);
    tf.dispose([latents, own]);
  }
  console.log(`${hits} of ${samples} samples go where their captions say`);
  return hits / samples;
}
