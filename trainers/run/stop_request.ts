// SIGINT and SIGTERM: finish the step, write a checkpoint, exit 0. A second signal exits at once.
import type {Logger} from 'pino';

export interface StopRequest {
  readonly requested: boolean;
  /** Stops listening. */
  release(): void;
}

export const neverStop: StopRequest = {requested: false, release() {}};

export function stopOnSignals(logger: Logger): StopRequest {
  const state = {requested: false};
  const onSignal = (signal: NodeJS.Signals) => {
    if (state.requested) process.exit(signal === 'SIGINT' ? 130 : 143);
    state.requested = true;
    logger.warn({signal}, 'finishing the step and writing a checkpoint; a second signal exits at once');
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  return {
    get requested() {
      return state.requested;
    },
    release() {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
    },
  };
}
