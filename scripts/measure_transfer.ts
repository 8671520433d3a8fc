// Do temporal layers generalise? Those trained on image model A are put on image model B, which was fine-tuned from A to another
// style: B's held-out loss with them beside B's alone (alpha = 1). Each has its own text encoder: the spatial layers are told the
// caption by B's, the temporal ones by A's. Exit code 1 if the bound is missed.
// Usage: tsx scripts/measure_transfer.ts [train arguments]
import {makeSchedule} from '../src/diffusion/index.ts';
import {openEngine} from '../src/engine/index.ts';
import {UNet} from '../src/models/index.ts';
import {table} from '../src/platform/table.ts';
import {heldOutConditions} from '../trainers/held_out/held_out_conditions.ts';
import {heldOutLoss} from '../trainers/held_out/held_out_loss.ts';
import {loadRun} from '../trainers/index.ts';
import {buildConditionEncoder, Conditioning} from '../trainers/inputs/conditions.ts';
import {heldOutBatches} from '../trainers/inputs/data.ts';
import {encodeHeldOut} from '../trainers/inputs/latents.ts';
import {allocateExactly, buildAutoencoder} from '../trainers/parents/frozen.ts';
import {makeShapeShards, shapeRun} from './shape_runs.ts';

const arguments_ = process.argv.slice(2);
const BOUND = 0.03;

await makeShapeShards();
shapeRun('image', arguments_);
const video = await loadRun(shapeRun('temporal', arguments_));
const other = await loadRun(shapeRun('image-light', arguments_));
await openEngine('auto');

const layers = [...video.unet!.weights].filter(([name]) => !other.unet!.weights.has(name));
const unet = allocateExactly(
  new UNet({...other.unet!.config, temporal: video.unet!.config.temporal}),
  new Map([...other.unet!.weights, ...layers]),
  "fine-tuned image model with the other one's temporal layers",
);
const clips = await heldOutBatches({
  ...other.config,
  data: {...other.config.data, frames: video.config.data.frames},
  heldOut: {...other.config.heldOut, clips: 32},
});
const autoencoder = buildAutoencoder({autoencoder: other.autoencoder!});
const {schedule, prediction} = other.diffusion!;
const diffusion = {schedule: makeSchedule(schedule), prediction};
const set = {clips: encodeHeldOut(autoencoder, other.scaleFactor!, clips), seed: 9, quantiles: 4};
const told = (run: typeof video) =>
  heldOutConditions(new Conditioning(buildConditionEncoder(run.conditions!), run.conditions!.drop), clips, 'clips');
const [spatial, temporal] = [told(other), told(video)];
const loss = async (mode: 'video' | 'image') => {
  const {mean} = await heldOutLoss(
    set,
    i => (latents, timesteps) =>
      unet.forward({latents, timesteps, mode, ...spatial.own(i), temporalContext: temporal.own(i).context}),
    diffusion,
  );
  return mean;
};
const [withLayers, alone] = [await loss('video'), await loss('image')];
const gain = 1 - withLayers / alone;
console.log(
  `\n${table(
    [
      'fine-tuned image model, held-out loss',
      'alpha = 1',
      "with the other model's temporal layers",
      'lower by',
      'at least',
    ],
    [['', alone.toFixed(4), withLayers.toFixed(4), `${(100 * gain).toFixed(1)} %`, `${100 * BOUND} %`]],
  )}`,
);
process.exit(gain >= BOUND ? 0 : 1);
