// `--ranks N`: the same command in N processes of this machine, which the environment tells who they are. They live and end
// together: a signal reaches each once, and where one fails the others are stopped.
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {createInterface} from 'node:readline';
import {RANK_LOST_EXIT} from '../../src/platform/rank_lost.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {environmentOf} from './place.ts';

/** After one has failed, the others have this long to say why and to finish the checkpoint they write. */
const GRACE_MS = 30_000;
/** What the last sentence of a command begins with. */
const PROGRAM = 'video-ldm: ';

export interface LaunchOptions {
  /** Processes. */
  ranks: number;
  /** What each runs: a script and its arguments, for this Node. */
  command: readonly string[];
  /** Default GRACE_MS. */
  graceMs?: number;
}

interface Ended {
  rank: number;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why it failed, in its own words; '' where it could not say. */
  said: string;
  /** Whether it was ended here, after another had failed. */
  stopped: boolean;
}

/** Returns when all have ended well. @throws UserError saying which rank failed, and what it said. */
export async function launchRanks({ranks, command, graceMs = GRACE_MS}: LaunchOptions): Promise<void> {
  const port = await freePort();
  const children = Array.from({length: ranks}, (_, rank) => startRank(rank, ranks, port, command));
  const release = passSignals(children);
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const ended: Ended[] = [];
  try {
    await Promise.all(
      children.map(async (child, rank) => {
        const end = {...(await endOf(child, rank)), stopped};
        ended.push(end);
        if (end.code !== 0)
          timer ??= setTimeout(() => {
            stopped = true;
            for (const other of children) other.kill('SIGKILL');
          }, graceMs);
      }),
    );
  } finally {
    clearTimeout(timer);
    release();
  }
  const failure = firstCause(ended);
  if (failure) throw new UserError(sentenceOf(failure, ranks));
}

function startRank(rank: number, ranks: number, port: number, command: readonly string[]): ChildProcess {
  const place = {
    rank,
    worldSize: ranks,
    localRank: rank,
    localWorldSize: ranks,
    address: '127.0.0.1',
    port,
  };
  return spawn(process.execPath, [...process.execArgv, ...command], {
    env: {...process.env, ...environmentOf(place)},
    // Apart from the terminal's group: its Ctrl-C would reach each twice, which means "at once".
    detached: true,
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
}

/** What a rank writes to stderr is shown as it comes, but for the sentence that it ends with: one of all is shown at the end. */
async function endOf(child: ChildProcess, rank: number): Promise<Omit<Ended, 'stopped'>> {
  const said: string[] = [];
  createInterface({input: child.stderr!}).on('line', line => {
    if (said.length > 0 || line.startsWith(PROGRAM)) said.push(line);
    else process.stderr.write(`${line}\n`);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return {rank, code, signal, said: said.join('\n').slice(PROGRAM.length)};
}

function passSignals(children: readonly ChildProcess[]): () => void {
  const pass = (signal: NodeJS.Signals) => {
    for (const child of children) child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, pass);
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, pass);
  };
}

/** The rank that failed of itself, rather than for want of another. */
function firstCause(ended: readonly Ended[]): Ended | undefined {
  const failed = ended.filter(({code, stopped}) => code !== 0 && !stopped);
  return failed.find(({code}) => code !== RANK_LOST_EXIT) ?? failed[0];
}

function sentenceOf({rank, code, signal, said}: Ended, ranks: number): string {
  if (said !== '' && signal === null) return said.startsWith('Rank ') ? said : `Rank ${rank} of ${ranks}: ${said}`;
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
  const memory = signal === 'SIGKILL' ? ' (the system does that where memory runs out)' : '';
  return `Rank ${rank} of ${ranks} ${how}${memory}: what was written is good, and the same command goes on from it.`;
}

/** Of this machine's loopback. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('A listening socket has no port.');
  return address.port;
}
