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
