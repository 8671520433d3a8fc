// Everything that needs a GPU, in one command, on a machine with PyTorch, Node and a C++ compiler:
//   node --import tsx scripts/benchmark/gpu.ts [--out gpu.json] [--size sd] [--skip tests,kernels,compile]
// Builds the addon for CUDA, runs TensorFlow.js's specs and this project's own on it, times the temporal training step of the
// `sd` UNet beside PyTorch's at two sizes, and the hand-written kernels against their bytes. What fails is said; the rest goes on.
import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {type BatchSize, caseOf, type SizeName, writeCase} from './cases.ts';
import {median, ourSide, pytorchSide, type Worker} from './worker.ts';

const {values: options} = parseArgs({
  options: {
    out: {type: 'string', default: 'gpu.json'},
    size: {type: 'string', default: 'sd'},
    device: {type: 'string', default: 'cuda'},
    python: {type: 'string', default: 'python3'},
    steps: {type: 'string', default: '10'},
    skip: {type: 'string', default: ''},
  },
});
const skipped = new Set(options.skip.split(','));
const steps = Number(options.steps);
const report: Record<string, unknown> = {date: new Date().toISOString().slice(0, 10), node: process.version};

/** Written after every part: what was measured is not lost where a later part fails. */
function save(): string {
  const text = JSON.stringify(report, (_, x) => (typeof x === 'number' ? Number(x.toPrecision(6)) : x), 1);
  writeFileSync(options.out, `${text}\n`);
  return text;
}

/** Runs a program to its end, its output shown. */
function program(name: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}): boolean {
  console.error(`# ${name}`);
  const {status} = spawnSync(command, args, {stdio: ['ignore', 2, 2], env: {...process.env, ...env}});
  report[name] = status === 0 ? 'passed' : `failed (${status})`;
  save();
  return status === 0;
}

interface Row {
  variant: string;
  firstLoss?: number;
  lastLoss?: number;
  medianMs?: number;
  peakGiB?: number;
  error?: string;
}
async function measure(variant: string, start: () => Promise<Worker>): Promise<Row> {
  console.error(`# ${variant}`);
  try {
    const worker = await start();
    const warm = await worker.steps(6);
    const {ms, losses, peakBytes = 0} = await worker.steps(steps);
    await worker.close();
    const figures = {firstLoss: warm.losses[0]!, lastLoss: losses.at(-1)!, medianMs: median(ms)};
    return {...worker.about, variant, ...figures, peakGiB: peakBytes / 2 ** 30};
  } catch (error) {
    return {variant, error: (error as Error).message.slice(-500)};
  }
}

/** Fills `result` row by row. */
async function temporalStep(batch: Partial<BatchSize>, result: Record<string, unknown>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'video-ldm-gpu-'));
  try {
    const chosen = caseOf(options.size as SizeName, batch);
    await writeCase(folder, chosen);
    const rows: Row[] = [];
    Object.assign(result, {...chosen.batch, size: options.size, rows});
    for (const precision of ['fp32', 'tf32', 'bf16']) {
      for (const variant of [
        'eager',
        'graph',
        'loop',
        ...(skipped.has('compile') || precision !== 'bf16' ? [] : ['compile']),
      ]) {
        const flags = ['--precision', precision, '--variant', variant, '--device', options.device];
        if (variant !== 'compile')
          rows.push(await measure(`ours ${precision} ${variant}`, () => ourSide(folder, ...flags)));
        // Ours alone: the graph with its loss read one step late, as the trainers do.
        if (variant === 'loop') continue;
        const theirs = await measure(`pytorch ${precision} ${variant}`, () =>
          pytorchSide(options.python, folder, ...flags),
        );
        rows.push(theirs);
        save();
      }
    }
    const losses = rows.filter(({variant}) => variant.includes('fp32')).flatMap(({firstLoss}) => firstLoss ?? []);
    const lossDifference = Math.max(...losses) - Math.min(...losses);
    Object.assign(result, {fp32LossDifference: lossDifference, agrees: lossDifference <= 1e-4});
  } finally {
    await rm(folder, {recursive: true, force: true});
  }
}

const onDevice = {TFJS_TORCH_DEVICE: options.device};
const root = path.join(import.meta.dirname, '../..');
if (!skipped.has('build'))
  program('build', process.execPath, [path.join(root, 'packages/tfjs-backend-torch/scripts/build.mjs')]);
if (!skipped.has('tests')) {
  const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
  const folders = ['packages/tfjs-backend-torch/test', 'test/engine_torch', 'test/ops'];
  program(
    'conformance and own specs',
    process.execPath,
    [vitest, 'run', '--maxWorkers=1', '--root', root, ...folders],
    onDevice,
  );
}
if (!skipped.has('kernels')) {
  for (const precision of ['fp32', 'bf16']) {
    const args = ['--import', 'tsx', path.join(import.meta.dirname, 'kernels.ts'), '--precision', precision];
    const small = options.device === 'cpu' ? ['--small'] : [];
    const {stdout, status} = spawnSync(process.execPath, [...args, ...small], {
      encoding: 'utf8',
      env: {...process.env, ...onDevice},
      stdio: ['ignore', 'pipe', 2],
    });
    report[`kernels ${precision}`] = status === 0 ? JSON.parse(stdout) : `failed (${status})`;
    save();
  }
}
if (!skipped.has('steps')) {
  const batches =
    options.size === 'sd'
      ? [
          {B: 1, T: 8, h: 32, w: 64},
          {B: 4, T: 8, h: 40, w: 64},
        ]
      : [{}];
  const results: Record<string, unknown>[] = batches.map(() => ({}));
  report.temporalStep = results;
  for (const [i, batch] of batches.entries()) await temporalStep(batch, results[i]!);
}
console.log(save());
