// What a run says: pino (pretty with a progress bar on a terminal, JSON lines otherwise), the same into log.jsonl, and
// figures into metrics.jsonl and TensorBoard's event files.
import {appendFileSync, createWriteStream, existsSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {MultiBar, type SingleBar} from 'cli-progress';
import pino, {type Logger} from 'pino';
import {prettyFactory} from 'pino-pretty';
import sharp from 'sharp';
import {openEventFile} from './tensorboard/event_file.ts';

export type LogStyle = 'auto' | 'pretty' | 'json';

export interface RunLog {
  readonly logger: Logger;
  /** One line of metrics.jsonl, `{kind, step, ...figures}`, and the scalars `kind/name` for TensorBoard. */
  metrics(kind: string, step: number, figures: Record<string, number>): void;
  /** Shows the PNGs among `files` in TensorBoard. */
  images(kind: string, step: number, files: readonly string[]): Promise<void>;
  /** Moves the progress bar; nothing where there is no terminal. */
  progress(step: number, figures: {stepsPerSecond: number; secondsLeft: number; loss: number}): void;
  close(): Promise<void>;
}

/** @param steps length of the run, for the bar; `firstStep` where it goes on. */
export function openLog(
  files: {log: string; metrics: string; tensorboard: string},
  options: {style?: LogStyle; verbose?: boolean; steps: number; firstStep: number; tensorboard?: boolean},
): RunLog {
  const {style = 'auto', steps, firstStep} = options;
  const terminal = process.stdout.isTTY === true && style !== 'json';
  const bars = terminal
    ? new MultiBar({
        format: ' {bar} {value}/{total} | {rate} steps/s | {left} left | loss {loss}',
        hideCursor: true,
        barsize: 30,
        forceRedraw: true,
      })
    : undefined;
  let bar: SingleBar | undefined;

  const write = (line: string): void => {
    if (bars && bar) bars.log(line.endsWith('\n') ? line : `${line}\n`);
    else process.stdout.write(line);
  };
  const human = terminal || style === 'pretty';
  const prettify = prettyFactory({
    colorize: terminal,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  });
  const console_ = {write: (line: string) => write(human ? prettify(line) : line)};
  const file = createWriteStream(files.log, {flags: 'a'});
  const level = options.verbose ? 'debug' : 'info';
  const logger = pino(
    {level, base: null},
    pino.multistream([
      {level, stream: console_},
      {level, stream: file},
    ]),
  );
  dropMetricsAfter(files.metrics, firstStep === 0 ? -1 : firstStep);
  const events = options.tensorboard === false ? undefined : openEventFile(files.tensorboard, firstStep);

  return {
    logger,
    metrics(kind, step, figures) {
      appendFileSync(files.metrics, `${JSON.stringify({kind, step, ...figures})}\n`);
      events?.scalars(
        step,
        Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${kind}/${name}`, value])),
      );
    },
    async images(kind, step, pictures) {
      for (const file of pictures.filter(name => name.endsWith('.png'))) {
        const png = await readFile(file);
        const {width, height} = await sharp(png).metadata();
        if (events?.image(step, {tag: kind, width, height, png}) === false) {
          logger.warn({file, bytes: png.length}, 'too large for TensorBoard');
        }
      }
    },
    progress(step, {stepsPerSecond, secondsLeft, loss}) {
      if (!bars) return;
      const shown = {rate: stepsPerSecond.toFixed(2), left: duration(secondsLeft), loss: loss.toFixed(4)};
      bar ??= bars.create(steps, firstStep, shown);
      bar.update(step, shown);
    },
    async close() {
      bars?.stop();
      await new Promise<void>(resolve => file.end(resolve));
    },
  };
}

/** Of a rank other than 0: a file of its own, and on the console what a person should see. Rank 0 has the figures. */
export function openRankLog(path: string, rank: number, verbose: boolean): RunLog {
  const level = verbose ? 'debug' : 'info';
  const file = createWriteStream(path, {flags: 'a'});
  const logger = pino(
    {level, base: {rank}},
    pino.multistream([
      {level: 'warn', stream: process.stdout},
      {level, stream: file},
    ]),
  );
  return {
    logger,
    metrics() {},
    async images() {},
    progress() {},
    close: () => new Promise<void>(resolve => file.end(resolve)),
  };
}

/** A resumed run repeats the steps after its checkpoint: their first figures go, so that each step stands once. */
function dropMetricsAfter(path: string, step: number): void {
  if (!existsSync(path)) return;
  const kept = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '' && stepOf(line) <= step);
  writeFileSync(`${path}.tmp`, kept.map(line => `${line}\n`).join(''));
  renameSync(`${path}.tmp`, path);
}

function stepOf(line: string): number {
  try {
    const {step} = JSON.parse(line) as {step?: unknown};
    return typeof step === 'number' ? step : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY; // torn by a kill
  }
}

/** 75 -> "1m15s" */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`;
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
}
