// Decoding threads over a ring of slots in shared memory: clips never travel between threads, only who may write where does.
import {Worker} from 'node:worker_threads';
import {UserError} from '../src/platform/user_error.ts';
import {compiledUrl} from '../src/platform/worker_url.ts';
import {BadSample} from './bad_sample.ts';
import type {ClipWanted} from './clip_cut.ts';
import type {DecodeAnswer, DecodeJob, DecodeWorkerData} from './decode_worker.ts';
import type {ClipDone, WholeWanted} from './media.ts';
import {busyWords, forget, waitAtExit} from './quiet_exit.ts';
import type {VideoEngine} from './video/video_reader.ts';

/** A clip in shared memory. */
export interface DecodedClip extends ClipDone {
  /** RGB uint8 [T,H,W,3], a view on the slot: valid until `release`. */
  pixels: Uint8Array;
  release(): void;
}

export interface DecodePool {
  /** Waits for a free slot and a thread. @throws BadSample; the slot is free again then. */
  decode(bytes: Uint8Array, extension: string, wanted: ClipWanted | WholeWanted): Promise<DecodedClip>;
  close(): Promise<void>;
}

export interface DecodePoolOptions {
  threads: number;
  /** Clips that may be decoded or waiting to be taken at once: the bound on memory. */
  slots: number;
  /** Bytes of the largest clip. */
  clipBytes: number;
  engine: VideoEngine | 'auto';
}

interface Waiting {
  job: DecodeJob;
  resolve(clip: DecodedClip): void;
  reject(error: Error): void;
}

interface Thread {
  number: number;
  worker: Worker;
  waiting: Waiting | undefined;
  timer: NodeJS.Timeout | undefined;
}

export function openDecodePool({threads, slots, clipBytes, engine}: DecodePoolOptions): DecodePool {
  const busy = busyWords(threads);
  waitAtExit(busy);
  const newSlot = () => new SharedArrayBuffer(clipBytes);
  const free = Array.from({length: slots}, newSlot);
  const slotWaiters: ((slot: SharedArrayBuffer) => void)[] = [];
  const queue: Waiting[] = [];
  const ending: Promise<unknown>[] = [];
  let closed = false;
  let nextId = 0;

  const releaseSlot = (slot: SharedArrayBuffer) => {
    const waiter = slotWaiters.shift();
    if (waiter === undefined) free.push(slot);
    else waiter(slot);
  };

  const start = (thread: Thread) => {
    const worker = new Worker(compiledUrl(import.meta.url, './decode_worker.js'), {
      workerData: {engine, busy, thread: thread.number} satisfies DecodeWorkerData,
    });
    worker.unref(); // a pending decode is kept alive by its timer; an idle thread must not keep the process
    thread.worker = worker;
    worker.on('message', (answer: DecodeAnswer) => finish(thread, answer));
    worker.on('error', error => replace(thread, error));
    worker.on('exit', () => replace(thread, new Error('A decoding thread ended by itself.')));
  };

  const take = (thread: Thread): Waiting | undefined => {
    clearTimeout(thread.timer);
    const {waiting} = thread;
    thread.waiting = undefined;
    return waiting;
  };

  const finish = (thread: Thread, answer: DecodeAnswer) => {
    const waiting = take(thread);
    if (waiting === undefined || waiting.job.id !== answer.id) return;
    const {slot, wanted} = waiting.job;
    if ('place' in answer) {
      const {place, frames} = answer;
      const {width, height} = 'shape' in wanted ? wanted.shape : wanted.shapes[place.shape]!;
      const pixels = new Uint8Array(slot, 0, frames * height * width * 3);
      waiting.resolve({pixels, place, frames, release: once(() => releaseSlot(slot))});
    } else {
      releaseSlot(slot);
      if ('reason' in answer) waiting.reject(new BadSample(answer.reason, answer.detail));
      else waiting.reject(answer.user ? new UserError(answer.error) : new Error(`Decoding failed: ${answer.error}`));
    }
    pump();
  };

  /** A thread that died or hangs is left to itself, with its slot, which it may still write to; a new one takes over. */
  const replace = (thread: Thread, error: Error) => {
    thread.worker.removeAllListeners();
    thread.worker.on('error', () => {});
    thread.worker.postMessage('close');
    const waiting = take(thread);
    if (closed) return;
    start(thread);
    if (waiting !== undefined) {
      releaseSlot(newSlot());
      waiting.reject(error);
    }
    pump();
  };

  const pool = Array.from({length: threads}, (_, number): Thread => {
    const thread: Partial<Thread> = {number};
    start(thread as Thread);
    return thread as Thread;
  });

  const pump = () => {
    for (const thread of pool) {
      if (thread.waiting !== undefined) continue;
      const waiting = queue.shift();
      if (waiting === undefined) return;
      thread.waiting = waiting;
      const limit = waiting.job.wanted.timeoutMs;
      const timedOut = () =>
        replace(thread, new BadSample('timeout', `The decoder did not finish within ${limit} ms.`));
      thread.timer = setTimeout(timedOut, limit);
      thread.worker.postMessage(waiting.job, [waiting.job.bytes.buffer as ArrayBuffer]);
    }
  };

  return {
    async decode(bytes, extension, wanted) {
      if (closed) throw new Error(closedMessage);
      const slot = free.pop() ?? (await new Promise<SharedArrayBuffer>(resolve => slotWaiters.push(resolve)));
      if (closed) throw new Error(closedMessage);
      return new Promise((resolve, reject) => {
        // Copied: a member's buffer may be larger than the member, and what is sent is gone here.
        queue.push({job: {id: nextId++, bytes: new Uint8Array(bytes), extension, wanted, slot}, resolve, reject});
        pump();
      });
    },
    async close() {
      closed = true;
      for (const {reject} of queue.splice(0)) reject(new Error(closedMessage));
      for (const waiter of slotWaiters.splice(0)) waiter(newSlot());
      for (const thread of pool) {
        const busy = thread.waiting !== undefined;
        thread.worker.removeAllListeners();
        thread.worker.on('error', () => {});
        const ended = new Promise(resolve => thread.worker.once('exit', resolve));
        take(thread)?.reject(new Error(closedMessage));
        thread.worker.ref();
        thread.worker.postMessage('close');
        ending.push(busy ? Promise.race([ended, patience()]) : ended);
      }
      await Promise.all(ending);
      forget(busy);
      for (const {worker} of pool) worker.unref();
    },
  };
}

const closedMessage = 'The decode pool is closed.';

/** How long closing waits for a thread in the middle of a sample. */
function patience(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 5000).unref());
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}
