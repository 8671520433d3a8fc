// One page in headless Chromium, driven over the DevTools protocol through a pipe: real time, and a deadline of our own.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import type {Readable, Writable} from 'node:stream';

/** Where Debian, Ubuntu and Google put it; undefined where there is none. */
export const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(file =>
  existsSync(file),
);

export interface Page {
  /** The value of an expression in the page; JSON types only. */
  evaluate(expression: string): Promise<unknown>;
  /** Asks until `wanted` accepts the value. Throws after `deadline` milliseconds, with the last value and what the page logged. */
  waitFor(expression: string, wanted: (value: unknown) => boolean, deadline: number): Promise<unknown>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: Record<string, unknown>;
  readonly error?: {readonly message: string};
}

/** Opens `url`. `profile` is a folder for the browser's files; `flags` are added to the command line. */
export async function openPage(url: string, profile: string, flags: readonly string[] = []): Promise<Page> {
  const own = ['--headless', '--no-sandbox', '--no-first-run', `--user-data-dir=${profile}`, '--remote-debugging-pipe'];
  const browser = spawn(chromium!, [...own, ...flags, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const commands = browser.stdio[3] as Writable;
  const answers = browser.stdio[4] as Readable;
  const waiting = new Map<number, {resolve: (m: Message) => void; reject: (e: Error) => void}>();
  const logged: string[] = [];
  let rest = '';
  answers.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = (rest + chunk).split('\0');
    rest = messages.pop()!;
    for (const text of messages) {
      const message = JSON.parse(text) as Message;
      if (message.id !== undefined) waiting.get(message.id)?.resolve(message);
      else if (message.method === 'Runtime.exceptionThrown' || message.method === 'Log.entryAdded')
        logged.push(JSON.stringify(message.params).slice(0, 500));
    }
  });
  commands.on('error', () => undefined); // the browser's end is told by 'close'
  const closed = once(browser, 'close').then(() => {
    for (const {reject} of waiting.values()) reject(new Error('The browser has ended.'));
  });

  let last = 0;
  async function call(method: string, params: object, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++last;
    const answer = new Promise<Message>((resolve, reject) => waiting.set(id, {resolve, reject}));
    commands.write(`${JSON.stringify({id, method, params, sessionId})}\0`);
    const {result, error} = await answer.finally(() => waiting.delete(id));
    if (error) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  const {targetId} = await call('Target.createTarget', {url: 'about:blank'});
  const {sessionId} = await call('Target.attachToTarget', {targetId, flatten: true});
  const inPage = (method: string, params: object = {}) => call(method, params, sessionId as string);
  await inPage('Runtime.enable');
  await inPage('Log.enable');
  await inPage('Page.navigate', {url});

  async function evaluate(expression: string): Promise<unknown> {
    const {result} = await inPage('Runtime.evaluate', {expression, returnByValue: true, awaitPromise: true});
    return (result as {value?: unknown}).value;
  }
  return {
    evaluate,
    async waitFor(expression, wanted, deadline) {
      const end = Date.now() + deadline;
      for (;;) {
        const value = await evaluate(expression);
        if (wanted(value)) return value;
        if (Date.now() > end)
          throw new Error(`After ${deadline} ms: ${JSON.stringify(value)}. ${logged.join('\n') || 'Nothing logged.'}`);
        await new Promise(resolve => setTimeout(resolve, 200));
      }
    },
    async close() {
      await call('Browser.close', {}).catch(() => browser.kill('SIGKILL'));
      await closed;
    },
  };
}
