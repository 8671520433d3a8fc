// Does text steer? On captioned moving shapes: the video model's held-out loss with the right captions beside that with other
// clips' captions, and how often a sample goes where its caption says. Exit code 1 if a bound is missed.
// Usage: tsx scripts/measure_text.ts [--samples 32] [--guidance 3] [train arguments]
import {parseArgs} from 'node:util';
import {makeSchedule} from '../src/diffusion/index.ts';
import {openEngine} from '../src/engine/index.ts';
import {UNet} from '../src/models/index.ts';
import {table} from '../src/platform/table.ts';
import {decodeLatents, sampleLatents} from '../src/sampling/index.ts';
import * as tf from '../src/tf.ts';
import {loadRun} from '../trainers/index.ts';
import {buildConditionEncoder} from '../trainers/inputs/conditions.ts';
import {allocateExactly, buildAutoencoder} from '../trainers/parents/frozen.ts';
import {captionOf, directionOf, directions, movingShape} from './moving_shapes.ts';
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

await makeShapeShards();
const image = heldOut(shapeRun('image', arguments_)).last;
const run = shapeRun('temporal', arguments_);
const video = heldOut(run).last;
const right = await followed(run);

const other = ({loss, lossOtherConditions}: Record<string, number>) => 1 - loss! / lossOtherConditions!;
/** A sample goes where it should by chance in one of four cases: 16 of 32 or more with probability 0.002. */
const checks = [
  {name: 'video model: right captions below other captions', value: other(video), bound: 0.05},
  {name: 'image model: right captions below other captions', value: other(image), bound: 0.05},
  {name: `samples that go where their caption says (of ${samples}; chance is 25 %)`, value: right, bound: 0.5},
];
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
console.log(
  `\nheld-out loss of the video model: right captions ${video.loss!.toFixed(4)}, other clips' captions ${video.lossOtherConditions!.toFixed(4)}, alpha = 1 ${video.lossAlphaOne!.toFixed(4)}\n`,
);
console.log(
  table(
    ['figure', 'measured', 'at least', 'reached'],
    checks.map(({name, value, bound}) => [name, percent(value), percent(bound), value >= bound ? 'yes' : 'NO']),
  ),
);
process.exit(checks.every(({value, bound}) => value >= bound) ? 0 : 1);

/** The share of samples that move as their captions say. */
async function followed(where: string): Promise<number> {
  const loaded = await loadRun(where);
  const engine = await openEngine('auto');
  const unet = allocateExactly(new UNet(loaded.unet!.config), loaded.unet!.weights, 'model');
  const autoencoder = buildAutoencoder({autoencoder: loaded.autoencoder!});
  const encoder = buildConditionEncoder(loaded.conditions!);
  const unconditional = encoder.encode([{}]);
  const {schedule, prediction} = loaded.diffusion!;
  const [height, width] = loaded.config.data.size;
  let hits = 0;
  for (let index = 0; index < samples; index++) {
    const direction = directions[index % directions.length]!;
    const text = captionOf({...movingShape(77, index), direction});
    const conditions = encoder.encode([{text}]);
    const latents = await sampleLatents(
      {unet, schedule: makeSchedule(schedule), prediction},
      {
        frames: loaded.config.data.frames,
        latentSize: [height / autoencoder.factor, width / autoencoder.factor],
        steps: 12,
        seed: 5,
        index,
        guidance: {conditions, unconditional, scale: Number(values.guidance)},
      },
    );
    const {data, shape} = await decodeLatents(autoencoder, latents, loaded.scaleFactor!);
    hits += Number(directionOf(data, shape) === direction);
    tf.dispose([latents, conditions]);
  }
  console.log(`${hits} of ${samples} samples go where their captions say (engine ${engine.name})`);
  return hits / samples;
}
