// What a piece of work takes beside what was stated: each bound is tried in a process of its own, a child of the script that
// calls this, so that nothing left by one shows in another. Figures are of the torch engine.
import {spawnSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {engineStats, resetPeakMemory} from 'tfjs-backend-torch';
import {table} from '../src/platform/table.ts';

/** What was stated for a bound, and how it is done, in words. */
export interface Stated {
  readonly how: string;
  readonly engineBytes: number;
  readonly parkedBytes: number;
}

/** Does the work within `memory` bytes and tells the plan; what comes back is compared between bounds. */
export type Work = (memory: number, onPlan: (stated: Stated) => void) => Promise<Float32Array | Uint8Array>;

interface Measured extends Stated {
  /** Most bytes allocated on the engine, of what was not there before. */
  readonly engine: number;
  /** Growth of the process, all of its memory included, at its largest. */
  readonly process: number;
  readonly seconds: number;
}

const MIB = 2 ** 20;
const mib = (bytes: number) => (bytes / MIB).toFixed(0);

/** One bound, in the child: writes figures and result into `folder`. */
async function measure(work: Work, memory: number, folder: string): Promise<void> {
  let stated: Stated | undefined;
  const before = {engine: engineStats().allocated, process: process.memoryUsage.rss()};
  resetPeakMemory();
  const start = performance.now();
  const result = await work(memory, plan => {
    stated = plan;
  });
  if (!stated) throw new Error('The work told no plan.');
  const figures: Measured = {
    ...stated,
    engine: engineStats().peak - before.engine,
    process: process.resourceUsage().maxRSS * 1024 - before.process,
    seconds: (performance.now() - start) / 1000,
  };
  writeFileSync(path.join(folder, 'result'), result);
  writeFileSync(path.join(folder, 'kind'), result instanceof Float32Array ? 'floats' : 'bytes');
  writeFileSync(path.join(folder, 'figures.json'), JSON.stringify(figures));
}

/**
 * Tries every bound (MiB) and prints a table. `prepare` opens the engine and makes models; it runs in the children alone.
 * A bound that is refused shows why.
 */
export async function measureBounds(
  script: string,
  bounds: readonly number[],
  prepare: () => Promise<Work>,
): Promise<void> {
  const at = process.argv.indexOf('--child');
  if (at >= 0) {
    const [bound, folder] = process.argv.slice(at + 1, at + 3);
    try {
      await measure(await prepare(), Number(bound) * MIB, folder!);
    } catch (error) {
      console.error(error instanceof Error ? error.message : String(error));
      process.exitCode = 1;
    }
    return;
  }
  const rows: string[][] = [];
  let first: Float32Array | Uint8Array | undefined;
  for (const bound of bounds) {
    const folder = await mkdtemp(path.join(tmpdir(), 'memory-'));
    try {
      const child = spawnSync(
        process.execPath,
        [...process.execArgv, fileURLToPath(script), ...process.argv.slice(2), '--child', String(bound), folder],
        {stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8'},
      );
      if (child.status !== 0) {
        rows.push([String(bound), child.stderr.trim().split('\n').at(-1) ?? 'failed']);
        continue;
      }
      const figures = JSON.parse(await readFile(path.join(folder, 'figures.json'), 'utf8')) as Measured;
      const result = readResult(folder);
      first ??= result;
      rows.push([
        String(bound),
        figures.how,
        mib(figures.engineBytes),
        mib(figures.engine),
        mib(figures.parkedBytes),
        mib(figures.process),
        apart(first, result).toPrecision(2),
        figures.seconds.toFixed(1),
      ]);
      console.error(rows.at(-1)!.join('  '));
    } finally {
      await rm(folder, {recursive: true});
    }
  }
  const header = [
    'bound MiB',
    'how',
    'engine stated',
    'engine measured',
    'parked stated',
    'process',
    'differs',
    'seconds',
  ];
  console.log(table(header, rows));
}

function readResult(folder: string): Float32Array | Uint8Array {
  const {buffer, byteOffset, length} = readFileSync(path.join(folder, 'result'));
  const bytes = new Uint8Array(buffer, byteOffset, length);
  return readFileSync(path.join(folder, 'kind'), 'utf8') === 'floats' ? new Float32Array(bytes.slice().buffer) : bytes;
}

/** Largest difference. */
function apart(a: Float32Array | Uint8Array, b: Float32Array | Uint8Array): number {
  let worst = a.length === b.length ? 0 : Number.NaN;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}
