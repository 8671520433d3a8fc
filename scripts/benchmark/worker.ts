// One side of a comparison as a process of its own that does steps when told to.
import {type ChildProcessWithoutNullStreams, spawn} from 'node:child_process';
import path from 'node:path';
import {createInterface} from 'node:readline';

export interface Steps {
  /** By the clock. */
  ms: number[];
  /** Of all processors together: on a machine with other work, steadier than the clock. */
  cpuMs: number[];
  losses: number[];
  peakBytes?: number;
}

export interface Worker {
  /** What the process says of itself: engine, version, threads. */
  about: Record<string, unknown>;
  steps(count: number): Promise<Steps>;
  close(): Promise<void>;
}

/** Starts the process and waits until it is ready. @throws Error with the end of what it wrote where it dies. */
export async function startWorker(command: string, args: string[]): Promise<Worker> {
  const child: ChildProcessWithoutNullStreams = spawn(command, args);
  const ended = new Promise<number | null>(resolve => child.on('close', resolve));
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-2000);
  });
  child.on('error', error => {
    errors += error.message;
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answer = async () => {
    for (;;) {
      const {value, done} = await lines.next();
      if (done) throw new Error(`${[command, ...args].join(' ')} ended with ${await ended}: ${errors.trim()}`);
      if (value.startsWith('{')) return JSON.parse(value) as unknown;
    }
  };
  const {ready: _, ...about} = (await answer()) as Record<string, unknown>;
  return {
    about,
    steps: async count => {
      child.stdin.write(`steps ${count}\n`);
      return (await answer()) as Steps;
    },
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Both programs of a comparison, started with the same flags. */
export const ourSide = (folder: string, ...flags: string[]) =>
  startWorker(process.execPath, ['--import', 'tsx', path.join(import.meta.dirname, 'ours.ts'), folder, ...flags]);
export const pytorchSide = (python: string, folder: string, ...flags: string[]) =>
  startWorker(python, [path.join(import.meta.dirname, 'pytorch.py'), folder, ...flags]);

/** Starts each candidate in turn, and again the one with the fastest step after the first three. */
export async function best(candidates: (() => Promise<Worker>)[], steps: number): Promise<Worker> {
  if (candidates.length === 1) return candidates[0]!();
  const times: number[] = [];
  for (const start of candidates) {
    const worker = await start();
    times.push(Math.min(...(await worker.steps(3 + steps)).ms.slice(3)));
    await worker.close();
  }
  return candidates[times.indexOf(Math.min(...times))]!();
}

export interface Summary {
  firstLoss: number;
  steps: number;
  medianMs: number;
  fastestMs: number;
  /** Median of processor time. */
  processorMs: number;
}

/** `warmUp` steps each (JavaScript is compiled over the first ten), then turns of `steps`; ends the workers. */
export async function takeTurns(workers: Worker[], rounds: number, steps: number, warmUp = 8): Promise<Summary[]> {
  const firstLosses: number[] = [];
  for (const worker of workers) firstLosses.push((await worker.steps(warmUp)).losses[0]!);
  const sides = workers.map(() => ({ms: [] as number[], cpuMs: [] as number[]}));
  for (let round = 0; round < rounds; round++) {
    for (const [i, worker] of workers.entries()) {
      const {ms, cpuMs} = await worker.steps(steps);
      sides[i]!.ms.push(...ms);
      sides[i]!.cpuMs.push(...cpuMs);
    }
  }
  for (const worker of workers) await worker.close();
  return workers.map(({about}, i) => {
    const {ms, cpuMs} = sides[i]!;
    const figures = {medianMs: median(ms), fastestMs: Math.min(...ms), processorMs: median(cpuMs)};
    return {...about, firstLoss: firstLosses[i]!, steps: ms.length, ...figures};
  });
}
