// Everything that needs a GPU, in one command, on a machine with PyTorch, Node and a C++ compiler:
//   node --import tsx scripts/benchmark/gpu.ts [--out gpu.json] [--size sd] [--skip tests,kernels,compile] [--seconds 540]
// Builds the addon for CUDA, runs TensorFlow.js's specs and this project's own on it, times the hand-written kernels against
// their bytes, and the temporal training step of the `sd` UNet beside PyTorch's at two sizes. What fails is said; the rest
// goes on. Run again with the same --out it goes on where it was broken off: what was measured or passed is not done again.
// A machine without npm or network: scripts/benchmark/pack.ts.
import {spawnSync} from 'node:child_process';
import {existsSync, linkSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {type BatchSize, caseOf, type SizeName, weightsIn, writeCase} from './cases.ts';
import {median, ourSide, pytorchSide, type Worker} from './worker.ts';

const {values: options} = parseArgs({
  options: {
    out: {type: 'string', default: 'gpu.json'},
    size: {type: 'string', default: 'sd'},
    device: {type: 'string', default: 'cuda'},
    python: {type: 'string', default: 'python3'},
    steps: {type: 'string', default: '10'},
    skip: {type: 'string', default: ''},
    /** The most telling first, for when time runs out. */
    precisions: {type: 'string', default: 'bf16,tf32,fp32'},
    /** Nothing new is begun after so many seconds. */
    seconds: {type: 'string', default: '1e9'},
    /** The weights, 6 GB for `sd`, are written once. */
    cases: {type: 'string', default: path.join(tmpdir(), 'video-ldm-gpu')},
  },
});
const root = path.join(import.meta.dirname, '../..');
const skipped = new Set(options.skip.split(','));
const steps = Number(options.steps);

interface Row {
  variant: string;
  firstLoss?: number;
  lastLoss?: number;
  medianMs?: number;
  peakGiB?: number;
  error?: string;
}
interface StepResult extends BatchSize {
  size: string;
  rows: Row[];
  fp32LossDifference?: number;
  agrees?: boolean;
}
interface Report {
  temporalStep?: StepResult[];
  [part: string]: unknown;
}
const before: Report = existsSync(options.out) ? (JSON.parse(readFileSync(options.out, 'utf8')) as Report) : {};
const report: Report = {...before, date: new Date().toISOString().slice(0, 10), node: process.version, gpu: gpuName()};
const outOfTime = () => performance.now() > Number(options.seconds) * 1000;

function gpuName(): string {
  const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
  return spawnSync('nvidia-smi', query, {encoding: 'utf8'}).stdout?.trim() || 'none found by nvidia-smi';
}

/** Written after every part: what was measured is not lost where a later part fails. */
function save(): string {
  const text = JSON.stringify(report, (_, x) => (typeof x === 'number' ? Number(x.toPrecision(6)) : x), 1);
  writeFileSync(options.out, `${text}\n`);
  return text;
}

/** Runs a program to its end, its output shown. */
function program(name: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}): void {
  if (report[name] === 'passed' || outOfTime()) return;
  console.error(`# ${name}`);
  const started = performance.now();
  const {status} = spawnSync(command, args, {cwd: root, stdio: ['ignore', 2, 2], env: {...process.env, ...env}});
  report[name] = status === 0 ? 'passed' : `failed (${status})`;
  report[`${name}, seconds`] = (performance.now() - started) / 1000;
  save();
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

/** The folder of the case's files; cases of one size share their weights. */
async function folderOf({size, B, T, h, w}: StepResult): Promise<string> {
  const started = performance.now();
  const folder = (name: string) => path.join(options.cases, `${size}-${name}`);
  const own = folder(`${B}x${T}x${h}x${w}`);
  const shared = report.temporalStep?.map(other => folder(`${other.B}x${other.T}x${other.h}x${other.w}`));
  const written = shared?.map(weightsIn).find(existsSync);
  mkdirSync(own, {recursive: true});
  if (written && !existsSync(weightsIn(own))) linkSync(written, weightsIn(own));
  await writeCase(own, caseOf(size as SizeName, {B, T, h, w}));
  console.error(`# files in ${own}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return own;
}

/** Fills the rows of `result` one by one. */
async function temporalStep(result: StepResult): Promise<void> {
  const {rows} = result;
  const folder = await folderOf(result);
  for (const precision of options.precisions.split(',')) {
    for (const variant of ['eager', 'graph', 'loop', 'compile']) {
      const flags = ['--precision', precision, '--variant', variant, '--device', options.device];
      const sides = {
        ...(variant === 'compile' ? {} : {ours: () => ourSide(folder, ...flags)}),
        // `loop` is ours alone: the graph with its loss read one step late, as the trainers do. Compiling takes minutes: once.
        ...(variant === 'loop' || (variant === 'compile' && precision !== 'bf16')
          ? {}
          : {pytorch: () => pytorchSide(options.python, folder, ...flags)}),
      };
      for (const [side, start] of Object.entries(sides)) {
        const name = `${side} ${precision} ${variant}`;
        const done = rows.findIndex(row => row.variant === name);
        if (skipped.has(variant) || skipped.has(side) || rows[done]?.medianMs !== undefined || outOfTime()) continue;
        if (done >= 0) rows.splice(done, 1);
        rows.push(await measure(name, start));
        save();
      }
    }
  }
  const losses = rows.filter(({variant}) => variant.includes('fp32')).flatMap(({firstLoss}) => firstLoss ?? []);
  if (losses.length < 2) return;
  const lossDifference = Math.max(...losses) - Math.min(...losses);
  Object.assign(result, {fp32LossDifference: lossDifference, agrees: lossDifference <= 1e-4});
}

const onDevice = {TFJS_TORCH_DEVICE: options.device};
if (!skipped.has('build')) {
  const build = path.join(root, 'packages/tfjs-backend-torch/scripts/build.mjs');
  program('build', process.execPath, [build], options.device === 'cpu' ? onDevice : {});
}
if (!skipped.has('tests')) {
  const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
  const tests = (name: string, ...folders: string[]) =>
    program(name, process.execPath, [vitest, 'run', '--maxWorkers=1', '--root', root, ...folders], {
      ...onDevice,
      // Trying cuDNN's algorithms for thousands of small shapes takes minutes, and some add up in an order of their own.
      TFJS_TORCH_DETERMINISTIC: '1',
      CUBLAS_WORKSPACE_CONFIG: ':4096:8',
    });
  const own = ['test/engine_torch', 'test/ops', 'packages/tfjs-backend-torch/test'];
  tests('own specs', ...own, '--exclude', '**/conformance.test.ts');
  tests('conformance', 'packages/tfjs-backend-torch/test/conformance.test.ts');
}
if (!skipped.has('kernels')) {
  for (const precision of ['bf16', 'fp32']) {
    const name = `kernels ${precision}`;
    if (typeof report[name] === 'object' || outOfTime()) continue;
    const args = ['--import', 'tsx', path.join(import.meta.dirname, 'kernels.ts'), '--precision', precision];
    const small = options.device === 'cpu' ? ['--small'] : [];
    const {stdout, status} = spawnSync(process.execPath, [...args, ...small], {
      encoding: 'utf8',
      env: {...process.env, ...onDevice},
      stdio: ['ignore', 'pipe', 2],
    });
    report[name] = status === 0 ? JSON.parse(stdout) : `failed (${status})`;
    save();
  }
}
if (!skipped.has('steps')) {
  const {size} = options;
  const batches =
    size === 'sd'
      ? [
          {B: 1, T: 8, h: 32, w: 64},
          {B: 4, T: 8, h: 40, w: 64},
        ]
      : [caseOf(size as SizeName).batch];
  report.temporalStep ??= batches.map(batch => ({...batch, size, rows: []}));
  for (const result of report.temporalStep) if (!outOfTime()) await temporalStep(result);
}
console.log(save());
