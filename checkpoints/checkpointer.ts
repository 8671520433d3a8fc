// Saves checkpoints while training goes on: a step waits for a copy in memory, a thread of its own writes it.
import {Worker} from 'node:worker_threads';
import {UserError} from '../src/platform/user_error.ts';
import {compiledUrl} from '../src/platform/worker_url.ts';
import {removeUnfinished} from './folder.ts';
import type {KeepRules} from './prune.ts';
import {makeSnapshotBuffers} from './snapshot.ts';
import {filesOf, type TrainState} from './train_state.ts';
import type {WriteCheckpointOptions, WrittenCheckpoint} from './write.ts';
import type {WriteReply, WriteRequest} from './write_messages.ts';

export interface CheckpointerOptions extends WriteCheckpointOptions {
  /** The run's folder of checkpoints; the caller holds the run's lock. */
  folder: string;
  /** Which to keep after each write; all where absent. */
  keep?: KeepRules;
  /** Told when a checkpoint is whole on disk and `latest` names it, with the names of those removed. */
  onWritten?: (written: WrittenCheckpoint, removed: readonly string[]) => void;
}

export interface SaveTimes {
  /** Milliseconds waited for the write before this one. */
  waitedMs: number;
  /** Milliseconds of copying: what a step loses when the writer keeps up. */
  copiedMs: number;
}

export interface Checkpointer {
  /** Allocates the memory for snapshots of this shape, so that the first save is as fast as the others. */
  reserve(state: TrainState): void;
  /** Returns once the state is copied; it may change from then on. @throws the failure of the write before it. */
  save(state: TrainState): Promise<SaveTimes>;
  /** Waits until nothing is being written; the last checkpoint written, if any. @throws the failure of that write. */
  flush(): Promise<WrittenCheckpoint | undefined>;
  /** `flush`, then ends the thread, whatever the outcome. */
  close(): Promise<WrittenCheckpoint | undefined>;
}

/** Starts the writing thread and clears away what a killed process left unfinished in the folder. */
export async function openCheckpointer(options: CheckpointerOptions): Promise<Checkpointer> {
  const {folder, keep, onWritten, ...writing} = options;
  await removeUnfinished(folder);
  const worker = new Worker(compiledUrl(import.meta.url, './write_worker.js'));
  worker.unref();
  const buffers = makeSnapshotBuffers();
  let last: WrittenCheckpoint | undefined;
  let pending: Promise<Error | undefined> = Promise.resolve(undefined);
  let turn: Promise<unknown> = Promise.resolve();

  /** Sends a request; resolves to the failure, so that nothing is left unhandled until someone asks. */
  const write = async (request: WriteRequest): Promise<Error | undefined> => {
    // An idle thread must not keep the process alive, a writing one must.
    worker.ref();
    try {
      const reply = await ask(worker, request);
      if ('failure' in reply) return reply.user ? new UserError(reply.failure) : new Error(reply.failure);
      last = reply.written;
      onWritten?.(reply.written, reply.removed);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      worker.unref();
    }
  };
  const settle = async () => {
    const failure = await pending;
    pending = Promise.resolve(undefined);
    if (failure) throw failure;
  };
  /** One after the other, whether or not the one before succeeded. */
  const inTurn = <T>(action: () => Promise<T>): Promise<T> => {
    const result = turn.then(action, action);
    turn = result.catch(() => {});
    return result;
  };
  const flush = () =>
    inTurn(async () => {
      await settle();
      return last;
    });
  return {
    reserve: state => buffers.reserve(state),
    save: state => {
      const start = performance.now();
      return inTurn(async () => {
        filesOf(state);
        await settle();
        const copying = performance.now();
        const copy = await buffers.copy(state);
        pending = write({folder, state: copy, options: writing, keep});
        return {waitedMs: copying - start, copiedMs: performance.now() - copying};
      });
    },
    flush,
    close: async () => {
      try {
        return await flush();
      } finally {
        await worker.terminate();
      }
    },
  };
}

function ask(worker: Worker, request: WriteRequest): Promise<WriteReply> {
  return new Promise((resolve, reject) => {
    const done = () => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    const onMessage = (reply: WriteReply) => {
      done();
      resolve(reply);
    };
    const onError = (error: unknown) => {
      done();
      reject(error);
    };
    const onExit = (code: number) => {
      done();
      reject(new Error(`The thread that writes checkpoints ended with code ${code}.`));
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage(request);
  });
}
