// Sampling's progress: a bar with the time left on a terminal, a line every ten seconds elsewhere.
import {MultiBar, Presets, type SingleBar} from 'cli-progress';
import {duration} from '../run/logging.ts';

export interface ShareDone {
  readonly part: string;
  readonly done: number;
  readonly secondsLeft: number;
}

const QUIET_SECONDS = 10;

export function shareOnTerminal(): {line(text: string): void; share(done: ShareDone): void; end(): void} {
  const terminal = process.stdout.isTTY === true;
  const format = '{bar} {percentage} % | {left} left | {part}';
  const bars = terminal
    ? new MultiBar({format, clearOnComplete: true, hideCursor: true}, Presets.shades_grey)
    : undefined;
  let bar: SingleBar | undefined;
  let said = performance.now();
  return {
    line(text) {
      if (bars && bar) bars.log(`${text}\n`);
      else console.log(text);
    },
    share({part, done, secondsLeft}) {
      const shown = {part, left: duration(secondsLeft)};
      if (bars) {
        bar ??= bars.create(1000, 0, shown);
        bar.update(Math.round(1000 * done), shown);
      } else if (performance.now() - said > 1000 * QUIET_SECONDS) {
        said = performance.now();
        console.log(`${Math.round(100 * done)} % (${part}), ${shown.left} left`);
      }
    },
    end: () => bars?.stop(),
  };
}
