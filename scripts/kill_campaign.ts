// SIGKILLs at random moments over training, checkpoint writes and encoding: after each the same command goes on, and in the
// end the bytes must be those of the run that nobody stopped. Also a disk that is full while a checkpoint is written, and a
// checkpoint with a flipped byte. Usage, after npm run build: node --import tsx scripts/kill_campaign.ts [KILLS] [SEED]
//   [--engine wasm|torch|cpu] [--targets image,temporal,..,encode] [--each N]   (N kills of each target, instead of KILLS in all)
//   [--ranks N]   (each command in N processes, one of which is killed)
import {type ChildProcess, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {engineNames} from '../src/engine/index.ts';
import {uniforms} from '../src/random/index.ts';
import {childrenOf} from '../test/helpers/child_processes.ts';
import {
  command,
  commandLine,
  finalBytes,
  type MicroData,
  microConfig,
  microData,
  microStages,
  start,
  writeConfig,
} from '../test/helpers/micro_runs.ts';

const {values: asked, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    engine: {type: 'string', default: 'wasm'},
    targets: {type: 'string', default: [...microStages, 'encode'].join()},
    each: {type: 'string'},
    ranks: {type: 'string'},
  },
});
const wanted = Number(positionals[0] ?? 200);
const seed = Number(positionals[1] ?? Date.now() % 1_000_000);
const each = asked.each === undefined ? undefined : Number(asked.each);
const inRanks = asked.ranks === undefined ? [] : ['--ranks', asked.ranks];
const names = asked.targets.split(',');
const unknown = names.find(name => ![...microStages, 'encode'].includes(name));
if (unknown !== undefined || !engineNames.some(name => name === asked.engine))
  throw new Error(`--targets are ${microStages.join()},encode; --engine is one of ${engineNames.join()}.`);
console.log(`${each === undefined ? wanted : `${each} each`} kills on the ${asked.engine} engine, seed ${seed}`);

let drawn = 0;
const random = () => uniforms({seed, stream: 'synthetic', step: drawn++}, 1)[0]!;

/** What is killed: a command, where it writes, and what must be there in the end. */
interface Target {
  readonly name: string;
  /** The command, writing below `root`. */
  readonly command: (root: string) => string[];
  /** A folder in which a name that starts with this says that something is being written. */
  readonly writing: (root: string) => {folder: string; prefix: string};
  readonly result: (root: string) => Record<string, Buffer>;
  seconds: number;
  expected: Record<string, Buffer>;
}

const kills: Record<string, number> = {};
const data = await microData();
try {
  const targets = await prepare(data);
  let round = 0;
  if (each !== undefined) for (const target of targets) await killEach(target, each, data.folder);
  while (each === undefined && total() < wanted) {
    const target = targets[round % targets.length]!;
    await campaign(target, path.join(data.folder, `round-${round}`), wanted - total());
    round++;
    if (round % targets.length === 0) console.log(`${total()} kills: ${summary()}`);
  }
  if (each === undefined) {
    fullDisk(data);
    flippedByte(data);
  }
  console.log(`${total()} kills (${summary()}): no run lost, every end byte-equal to the uninterrupted one`);
} finally {
  data.remove();
}

function total(): number {
  return Object.values(kills).reduce((sum, count) => sum + count, 0);
}

function summary(): string {
  return Object.entries(kills)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

/** The uninterrupted runs. */
async function prepare(micro: MicroData): Promise<Target[]> {
  const whole = path.join(micro.folder, 'whole');
  // All stages: each is the parent of a later one.
  const training: Target[] = microStages.map(stage => ({
    name: stage,
    command: root => {
      const config = microConfig(stage, micro, {
        ...{root, parents: whole, engine: asked.engine},
        ...{steps: 12, checkpointEvery: 1},
      });
      return ['train', writeConfig(micro.folder, `${path.basename(root)}-${stage}`, config), ...inRanks];
    },
    writing: root => ({folder: path.join(root, stage, 'checkpoints'), prefix: '.writing'}),
    result: root => finalBytes(path.join(root, stage)),
    seconds: 0,
    expected: {},
  }));
  const encode: Target = {
    name: 'encode',
    command: root => [
      ...['encode', micro.train, '--from', path.join(whole, 'autoencoder'), '--out', path.join(root, 'latents')],
      ...['--size', '16', '16', '--frames', '1', '--batch', '1', '--engine', asked.engine, ...inRanks],
    ],
    writing: root => ({folder: path.join(root, 'latents'), prefix: '.'}),
    result: root => filesOf(path.join(root, 'latents'), /\.tar$/),
    seconds: 0,
    expected: {},
  };
  const targets = [...training, encode];
  for (const target of targets) {
    const began = performance.now();
    finish(target, whole);
    target.seconds = (performance.now() - began) / 1000;
    target.expected = target.result(whole);
    console.log(`${target.name}: uninterrupted in ${target.seconds.toFixed(1)} s`);
  }
  return targets.filter(({name}) => names.includes(name));
}

/** So many kills of a target, in as many runs as it takes. */
async function killEach(target: Target, count: number, folder: string): Promise<void> {
  const before = total();
  for (let run = 0; total() - before < count; run++)
    await campaign(target, path.join(folder, `each-${run}`), count - (total() - before));
  console.log(`${target.name}: ${count} kills, the same bytes`);
}

/** Kills one fresh run up to ten times, lets it end, and compares. */
async function campaign(target: Target, root: string, most: number): Promise<void> {
  for (let kill = 0; kill < Math.min(10, most); kill++) {
    const during = random() < 0.5 ? 'a write' : 'any moment';
    const child = start(...target.command(root));
    let errors = '';
    child.stderr!.on('data', chunk => (errors += chunk));
    child.stdout!.resume();
    const exited = once(child, 'exit');
    if (during === 'a write') await untilWriting(target, root, child, 1 + Math.floor(3 * random()));
    else await Promise.race([sleep(1000 * (0.3 + random() * target.seconds)), exited]);
    const killed = kill9(child);
    const [code, signal] = await exited;
    const ended = signal === 'SIGKILL' || (killed && code === 1 && errors.includes('was ended by SIGKILL'));
    if (!ended && code !== 0) throw new Error(`${target.name} failed by itself: ${errors}`);
    // A run that was faster than the kill has nothing left to be killed.
    if (!ended) break;
    const name = target.name === 'encode' ? 'encode' : `training (${during})`;
    kills[name] = (kills[name] ?? 0) + 1;
  }
  finish(target, root);
  compare(target, root);
  rmSync(root, {recursive: true, force: true});
}

/** The process, or one of its ranks. False where there is none yet, or none any more: then the process itself is left to end. */
function kill9(child: ChildProcess): boolean {
  if (inRanks.length === 0) return child.kill('SIGKILL');
  const ranks = childrenOf(child.pid!);
  const rank = ranks[Math.floor(random() * ranks.length)];
  return rank !== undefined && process.kill(rank, 'SIGKILL');
}

function finish(target: Target, root: string): void {
  const {status, stderr} = command(...target.command(root));
  if (status !== 0 || stderr !== '') throw new Error(`${target.name} did not go on (seed ${seed}): ${stderr}`);
}

function compare(target: Target, root: string): void {
  const result = target.result(root);
  for (const [name, bytes] of Object.entries(target.expected))
    if (!result[name]?.equals(bytes)) throw new Error(`${target.name}: ${name} differs (seed ${seed}).`);
  if (Object.keys(result).length !== Object.keys(target.expected).length)
    throw new Error(`${target.name}: other files than in the uninterrupted run (seed ${seed}).`);
}

/** Until the n-th entry of a temporary name was seen, or the process ended. */
async function untilWriting(target: Target, root: string, child: {exitCode: number | null}, n: number): Promise<void> {
  const {folder, prefix} = target.writing(root);
  const seen = new Set<string>();
  while (child.exitCode === null && seen.size < n) {
    if (existsSync(folder)) for (const entry of readdirSync(folder)) if (entry.startsWith(prefix)) seen.add(entry);
    await sleep(1);
  }
}

/** No file may grow beyond 8 KB: the checkpoint fails in one sentence, the one before stays, and the run goes on. */
function fullDisk(micro: MicroData): void {
  const root = path.join(micro.folder, 'full');
  const whole = path.join(micro.folder, 'whole');
  const run = {root, parents: whole, engine: asked.engine, steps: 12, checkpointEvery: 1};
  const file = writeConfig(micro.folder, 'full', microConfig('autoencoder', micro, run));
  if (command('train', file, '--set', 'train.steps=3').status !== 0) throw new Error('The run did not start.');
  const {status, stderr} = spawnSync(
    '/bin/bash',
    ['-c', 'ulimit -f 8; exec "$0" "$@"', process.execPath, commandLine, 'train', file],
    {encoding: 'utf8'},
  );
  if (status !== 1 || !/^video-ldm: Cannot write checkpoint .* is unharmed\.\n$/.test(stderr))
    throw new Error(`A full disk was not said in one sentence: ${status} ${stderr}`);
  if (command('train', file).status !== 0) throw new Error('The run did not go on after the disk was full.');
  const [one, other] = [finalBytes(path.join(root, 'autoencoder')), finalBytes(path.join(whole, 'autoencoder'))];
  if (!one.model!.equals(other.model!)) throw new Error('The weights differ after the disk was full.');
  console.log(`full disk: "${stderr.trim()}"; went on to the same bytes`);
}

function flippedByte(micro: MicroData): void {
  const run = path.join(micro.folder, 'full', 'autoencoder');
  const name = readFileSync(path.join(run, 'checkpoints', 'latest'), 'utf8').trim();
  const file = path.join(run, 'checkpoints', name, 'model.safetensors');
  const before = finalBytes(run).model!;
  const bytes = readFileSync(file);
  bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
  writeFileSync(file, bytes);
  const {status, stdout} = command('train', path.join(micro.folder, 'full.yaml'));
  if (status !== 0 || !stdout.includes('checkpoint skipped') || !stdout.includes(name))
    throw new Error(`The altered checkpoint was not named: ${stdout}`);
  if (!finalBytes(run).model!.equals(before)) throw new Error('The weights differ after a flipped byte.');
  console.log(`flipped byte: ${name} was named and skipped; the run ended in the same bytes`);
}

function filesOf(folder: string, pattern: RegExp): Record<string, Buffer> {
  const names = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter(name => pattern.test(name));
  return Object.fromEntries(
    names
      .filter(name => statSync(path.join(folder, name)).isFile())
      .map(name => [name, readFileSync(path.join(folder, name))]),
  );
}
