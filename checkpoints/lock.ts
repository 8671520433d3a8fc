// One process per run folder: a lock file that names its holder. A holder that was killed is recognised (its process is
// gone, or another now has its number; on another machine, it no longer renews the file) and its lock is taken over.
import {randomUUID} from 'node:crypto';
import {unlinkSync} from 'node:fs';
import {link, mkdir, readFile, rename, rm, stat, utimes, writeFile} from 'node:fs/promises';
import {hostname} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {UserError} from '../src/platform/user_error.ts';
import {errorCode, explained} from '../src/weights/file_errors.ts';

export interface RunLock {
  /** The lock file. */
  file: string;
  /** Whose lock was taken over, for the log. */
  tookOverFrom?: string;
  release(): Promise<void>;
}

interface Holder {
  pid: number;
  host: string;
  /** When the process started, as its system counts, to tell it from a later one of the same number; '' if unknown. */
  started: string;
  since: string;
}

const RENEW_MS = 15_000;
/** A holder on another machine that has not renewed its lock for this long is taken for dead. */
const ABANDONED_MS = 5 * 60_000;
const HALF_WRITTEN_MS = 10_000;
const SETTLE_MS = 100;

/** @throws UserError where another process trains in this folder, or the folder cannot be written. */
export async function lockRun(folder: string): Promise<RunLock> {
  const file = path.join(folder, 'lock');
  const me: Holder = {
    pid: process.pid,
    host: hostname(),
    started: await startOf(process.pid),
    since: new Date().toISOString(),
  };
  // No two tries write the same text, not even two of one process in one millisecond: it tells whose a lock is.
  const token = randomUUID();
  const text = `${JSON.stringify({...me, token})}\n`;
  const own = `${file}.${me.host}.${me.pid}.${token}`;
  await explained('write in the run folder', folder, async () => {
    await mkdir(folder, {recursive: true});
    await writeFile(own, text);
  });
  try {
    let tookOverFrom: string | undefined;
    for (let attempt = 0; !(await claim(own, file)); attempt++) {
      const text = await readIfThere(file);
      const holder = text === undefined ? undefined : parseHolder(text);
      const alive = text === undefined ? undefined : await livesStill(holder, file, own);
      if (alive || attempt > 20) throw heldBy(holder, alive ?? '', folder, file);
      if (text === undefined || !(await takeAway(file, text, own))) continue;
      tookOverFrom = holder ? `process ${holder.pid} on ${holder.host}` : 'an unreadable lock';
    }
    // Another process may have judged a dead lock and acted on ours, which came after it: then one of us must give way.
    await sleep(SETTLE_MS);
    if ((await readIfThere(file)) !== text) throw heldBy(undefined, 'just now', folder, file);
    return held(file, text, tookOverFrom);
  } finally {
    await rm(own, {force: true});
  }
}

function held(file: string, text: string, tookOverFrom: string | undefined): RunLock {
  const renewal = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => {});
  }, RENEW_MS).unref();
  const onExit = () => {
    try {
      unlinkSync(file);
    } catch {}
  };
  process.once('exit', onExit);
  const release = async () => {
    clearInterval(renewal);
    process.off('exit', onExit);
    if ((await readIfThere(file)) === text) await rm(file, {force: true});
  };
  return {file, release, ...(tookOverFrom === undefined ? {} : {tookOverFrom})};
}

/** The lock appears whole or not at all. False where there is one. */
async function claim(own: string, file: string): Promise<boolean> {
  try {
    await link(own, file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    // File systems without hard links.
    return writeFile(file, await readFile(own), {flag: 'wx'}).then(
      () => true,
      (again: unknown) => {
        if (errorCode(again) === 'EEXIST') return false;
        throw again;
      },
    );
  }
}

/** Removes the lock whose text is `stale`; puts back what turns out to be another's. */
async function takeAway(file: string, stale: string, own: string): Promise<boolean> {
  const aside = `${own}.stale`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
  const taken = (await readFile(aside, 'utf8')) === stale;
  if (!taken) await link(aside, file).catch(() => {});
  await rm(aside, {force: true});
  return taken;
}

/** How we know that the holder is alive; undefined where it is not. */
async function livesStill(holder: Holder | undefined, file: string, own: string): Promise<string | undefined> {
  if (holder?.host !== hostname()) {
    // Both times by the file system's clock: `own` was written just now. A lock without a holder may be half-written.
    const [theirs, now] = [await stat(file).catch(() => undefined), await stat(own)];
    const age = now.mtimeMs - (theirs?.mtimeMs ?? 0);
    return age < (holder ? ABANDONED_MS : HALF_WRITTEN_MS)
      ? `renewed ${Math.max(0, Math.round(age / 1000))} s ago`
      : undefined;
  }
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (errorCode(error) !== 'EPERM') return undefined;
  }
  const started = await startOf(holder.pid);
  return started === holder.started ? 'it is running' : undefined;
}

/** Boot and start time of a process, where the system tells (Linux); '' elsewhere. */
async function startOf(pid: number): Promise<string> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Field 22; the name in field 2 may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${boot.trim()}/${fields[19]}`;
  } catch {
    return '';
  }
}

/** @throws UserError for a lock that is there and cannot be read. */
async function readIfThere(file: string): Promise<string | undefined> {
  return explained('read', file, () =>
    readFile(file, 'utf8').catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }),
  );
}

function parseHolder(text: string): Holder | undefined {
  try {
    const {pid, host, started, since} = JSON.parse(text);
    if (!Number.isInteger(pid) || pid <= 0 || typeof host !== 'string') return undefined;
    return {pid, host, started: String(started), since: String(since)};
  } catch {
    return undefined;
  }
}

function heldBy(holder: Holder | undefined, alive: string, folder: string, file: string): UserError {
  const who = holder ? `process ${holder.pid} on ${holder.host} (since ${holder.since}; ${alive})` : 'another process';
  return new UserError(`${folder} is in use by ${who}: stop it, or if it is gone remove ${file}.`);
}
