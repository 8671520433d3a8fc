// Do temporal layers generalise? Those trained on image model A are put on image models that were fine-tuned from A apart from
// them: on B, tuned to one subject as DreamBooth does, and (for information) on one tuned to another world. Held-out loss on
// clips of what each was tuned to: A alone, the tuned model alone (alpha = 1), and with A's layers. Each has its own text
// encoder: the spatial layers are told the caption by the tuned model's, the temporal ones by A's. Exit code 1 if a bound is
// missed.
// Usage: tsx scripts/measure_transfer.ts [train arguments]
import {makeSchedule} from '../src/diffusion/index.ts';
import {openEngine} from '../src/engine/index.ts';
import {UNet} from '../src/models/index.ts';
import {table} from '../src/platform/table.ts';
import * as tf from '../src/tf.ts';
import {heldOutConditions} from '../trainers/held_out/held_out_conditions.ts';
import {heldOutLoss} from '../trainers/held_out/held_out_loss.ts';
import {type LoadedRun, loadRun} from '../trainers/index.ts';
import {buildConditionEncoder, Conditioning} from '../trainers/inputs/conditions.ts';
import {heldOutBatches} from '../trainers/inputs/data.ts';
import {encodeHeldOut} from '../trainers/inputs/latents.ts';
import {allocateExactly, buildAutoencoder} from '../trainers/parents/frozen.ts';
import {makeShapeShards, shapeRun} from './shape_runs.ts';

const arguments_ = process.argv.slice(2);
const BOUND = 0.03;

await makeShapeShards();
const first = await loadRun(shapeRun('image', arguments_));
const video = await loadRun(shapeRun('temporal', arguments_));
const tuned = await loadRun(shapeRun('image-subject', arguments_));
const light = await loadRun(shapeRun('image-light', arguments_));
await openEngine('auto');

const own = await lossesOn(first);
const subject = await lossesOn(tuned);
const world = await lossesOn(light);
const gainOf = ({alone, withLayers}: Losses) => 1 - withLayers / alone;
const isTuned = subject.alone < subject.first;
const reached = isTuned && gainOf(subject) >= BOUND;
const row = (name: string, losses: Losses, bound: string, verdict: string) => [
  name,
  losses.first.toFixed(4),
  losses.alone.toFixed(4),
  losses.withLayers.toFixed(4),
  `${(100 * gainOf(losses)).toFixed(1)} %`,
  bound,
  verdict,
];
console.log(
  `\n${table(
    ['held-out loss of', 'A alone', 'itself alone', "with A's temporal layers", 'lower by', 'at least', 'reached'],
    [
      row('A, on its own shapes', own, '', ''),
      row('B, tuned to a subject', subject, `${100 * BOUND} %`, reached ? 'yes' : 'NO'),
      row('A tuned to a light ground', world, '', ''),
    ],
  )}`,
);
if (!isTuned) console.log('B alone is no better than A on the clips that it was tuned to: it was not fine-tuned.');
process.exit(reached ? 0 : 1);

interface Losses {
  readonly first: number;
  readonly alone: number;
  readonly withLayers: number;
}

/** On held-out clips of what an image model was trained or tuned to; same clips and noise for all three. */
async function lossesOn(image: LoadedRun): Promise<Losses> {
  const clips = await heldOutBatches({
    ...image.config,
    data: {...image.config.data, frames: video.config.data.frames},
    heldOut: {...image.config.heldOut, clips: 32},
  });
  const autoencoder = buildAutoencoder({autoencoder: image.autoencoder!});
  const {schedule, prediction} = image.diffusion!;
  const diffusion = {schedule: makeSchedule(schedule), prediction};
  const set = {clips: encodeHeldOut(autoencoder, image.scaleFactor!, clips), seed: 9, quantiles: 4};
  const told = (run: LoadedRun) => new Conditioning(buildConditionEncoder(run.conditions!), run.conditions!.drop);
  const loss = async (spatial: LoadedRun, mode: 'video' | 'image') => {
    const unet = withLayersOf(video, spatial);
    const encoders = [told(spatial), told(video)] as const;
    const [context, temporalContext] = encoders.map(encoder => heldOutConditions(encoder, clips, 'clips'));
    const {mean} = await heldOutLoss(
      set,
      i => (latents, timesteps) =>
        unet.forward({latents, timesteps, mode, ...context!.own(i), temporalContext: temporalContext!.own(i).context}),
      diffusion,
    );
    unet.dispose();
    for (const encoder of encoders) encoder.dispose();
    return mean;
  };
  const losses = {
    first: await loss(first, 'image'),
    alone: await loss(image, 'image'),
    withLayers: await loss(image, 'video'),
  };
  tf.dispose(set.clips);
  autoencoder.dispose();
  return losses;
}

/** The image model with the temporal layers of a video model. */
function withLayersOf({unet: layered}: LoadedRun, {unet: spatial}: LoadedRun): UNet {
  const layers = [...layered!.weights].filter(([name]) => !spatial!.weights.has(name));
  return allocateExactly(
    new UNet({...spatial!.config, temporal: layered!.config.temporal}),
    new Map([...spatial!.weights, ...layers]),
    "image model with another one's temporal layers",
  );
}
