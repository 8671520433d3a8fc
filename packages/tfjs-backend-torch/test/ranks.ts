// Runs programs as the ranks of a group, each a process of its own on this machine.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {fileURLToPath} from 'node:url';

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** How a process ended, and the lines it printed, each a JSON value. */
export interface Ended {
  code: number | null;
  said: unknown[];
  errors: string;
  seconds: number;
}

/** Runs a module; `cwd` is where its imports are looked up. */
export async function run(
  source: string,
  {cwd, options = [], env = {}}: {cwd: string; options?: string[]; env?: Record<string, string>},
): Promise<Ended> {
  const started = performance.now();
  const child = spawn(process.execPath, [...options, '--input-type=module', '-e', source], {
    cwd,
    env: {...process.env, ...env},
  });
  const texts = {stdout: '', stderr: ''};
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      texts[stream] += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  const said = texts.stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as unknown);
  return {code, said, errors: texts.stderr, seconds: (performance.now() - started) / 1000};
}

/** Two ranks cannot share a GPU, and most machines have one at the most. */
export const onCpu = {TFJS_TORCH_DEVICE: 'cpu'};

/**
 * `program` is what follows imports in a module, with `tf`, `torch`, `rank`, `place` for openGroup, `say(value)` and `bytes(tensor)`, a
 * hash of a tensor's bytes. One program for all ranks, or one for each.
 */
export async function runRanks(worldSize: number, program: string | string[]): Promise<Ended[]> {
  const port = await freePort();
  const sourceOf = (rank: number) => `
    import {createHash} from 'node:crypto';
    import * as tf from '@tensorflow/tfjs-core';
    const torch = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
    await tf.setBackend('torch');
    torch.setThreads(1);
    const [rank, worldSize] = [${rank}, ${worldSize}];
    const place = {rank, worldSize, localRank: rank, localWorldSize: worldSize, address: '127.0.0.1', port: ${port}};
    const say = value => console.log(JSON.stringify(value));
    const bytes = x => createHash('sha256').update(x.dataSync()).digest('hex');
    ${typeof program === 'string' ? program : program[rank]}`;
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  return Promise.all(
    Array.from({length: worldSize}, (_, rank) => run(sourceOf(rank), {cwd, env: worldSize > 1 ? onCpu : {}})),
  );
}
