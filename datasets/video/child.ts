// An ffmpeg child process: argument lists and no shell, bytes out as a stream, a time limit, and its last words on failure.
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {BadSample} from '../bad_sample.ts';

export interface RunningChild {
  child: ChildProcess;
  /** Resolves with the exit code once the process is gone; undefined when it was killed. */
  ended: Promise<{code: number | undefined; words: string}>;
  kill(): void;
}

const wordsKept = 2000;

/** Starts `program`; its stdout and stdin are pipes, stderr is kept for the error message. */
export function startChild(program: string, args: readonly string[]): RunningChild {
  const child = spawn(program, args, {stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true});
  let words = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    words = (words + text).slice(-wordsKept);
  });
  child.stdin.on('error', () => {}); // a child that stops reading early; its exit code says why
  const ended = new Promise<{code: number | undefined; words: string}>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => resolve({code: code ?? undefined, words: words.trim()}));
  });
  ended.catch(() => {}); // it is awaited by whoever reads; a spawn error must not be unhandled meanwhile
  return {child, ended, kill: () => child.kill('SIGKILL')};
}

/** Runs `program` to its end and gives its stdout. @throws Error with its last words when it fails. */
export function runChild(program: string, args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 16 * 2 ** 20, windowsHide: true} as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.killed === true)
        reject(new BadSample('timeout', `${program} did not end within ${timeoutMs} ms.`));
      else reject(new Error(lastWords(stderr) || error.message));
    });
  });
}

/** The last line a program said, without the `[mov @ 0x55...]` addresses that differ from run to run. */
export function lastWords(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line
    .replace(/^(\[[^\]]*\]\s*)+/, '')
    .replace(/^\/proc\/\d+\/fd\/\d+: /, '')
    .slice(0, 300);
}
