// Do the temporal layers learn from time? On a finished quickstart (or another root): trains the control whose temporal layers
// see only their own frame, equally long, and prints the held-out losses with their bounds. Exit code 1 if one is missed.
// Usage: tsx scripts/measure_temporal.ts [--root runs/quickstart] [--config configs/tiny/temporal.yaml] [train arguments]
import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {table} from '../src/platform/table.ts';

const {values, positionals} = parseArgs({
  options: {
    root: {type: 'string', default: 'runs/quickstart'},
    config: {type: 'string', default: 'configs/tiny/temporal.yaml'},
    engine: {type: 'string', default: 'auto'},
  },
  allowPositionals: true,
});
const {root, config, engine} = values;

const command = ['dist/src/cli/main.js', 'train', config, '--engine', engine, '--log', 'pretty', ...positionals];
const common = ['--set', `run.root=${root}`, '--set', `from=${path.join(root, 'image')}`];
const control = ['--set', 'run.name=control', '--set', 'sees=own-frame'];
const {status} = spawnSync(process.execPath, [...command, ...common, ...control], {stdio: 'inherit'});
if (status !== 0) process.exit(status ?? 1);

const temporal = lastHeldOut('temporal');
const alone = lastHeldOut('control').loss;
const {loss, lossAlphaOne, lossShuffled} = temporal;
const gain = lossAlphaOne - loss;
const checks = [
  {name: 'below the image model alone (alpha = 1)', value: gain / lossAlphaOne, bound: 0.05},
  {name: 'the control that sees only its own frame is worse by', value: alone / loss - 1, bound: 0.03},
  {name: 'share of the gain lost when the frames are shuffled', value: (lossShuffled - loss) / gain, bound: 0.5},
];
console.log(
  `\nheld-out noise-prediction loss: temporal ${loss.toFixed(5)}, alpha = 1 ${lossAlphaOne.toFixed(5)}, control ${alone.toFixed(5)}, shuffled ${lossShuffled.toFixed(5)}\n`,
);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
console.log(
  table(
    ['figure', 'measured', 'at least', 'reached'],
    checks.map(({name, value, bound}) => [name, percent(value), percent(bound), value >= bound ? 'yes' : 'NO']),
  ),
);
process.exit(checks.every(({value, bound}) => value >= bound) ? 0 : 1);

interface HeldOut {
  kind: string;
  loss: number;
  lossAlphaOne: number;
  lossShuffled: number;
}

function lastHeldOut(run: string): HeldOut {
  const lines = readFileSync(path.join(root, run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const found = lines
    .map(line => JSON.parse(line) as HeldOut)
    .filter(line => line.kind === 'heldOut')
    .at(-1);
  if (!found) throw new Error(`${run} has no held-out figures.`);
  return found;
}
