// Threads that cut videos, each its own; what they send is taken in the order in which the videos were given.
import {Worker} from 'node:worker_threads';
import {UserError} from '../src/platform/user_error.ts';
import {compiledUrl} from '../src/platform/worker_url.ts';
import type {ClipCodec} from './clip_file.ts';
import type {CutClip, CutOptions} from './cut_clips.ts';
import type {JobEnd, ShardJob, ShardMessage, ShardOrder, ShardWorkerData} from './shard_worker.ts';
import type {VideoEngine} from './video/video_reader.ts';

export interface CutPool {
  /** Begins when a thread is free; its clips wait until they are taken. */
  start(job: Omit<ShardJob, 'id'>): CutJob;
  close(): Promise<void>;
}

export interface CutJob {
  /** The clips, then how it ended. @throws whatever is no fault of the video. */
  events(): AsyncGenerator<{clip: CutClip} | {end: Exclude<JobEnd, {error: string}>}>;
}

interface Running {
  job: ShardJob;
  waiting: (Exclude<ShardMessage, {alive: true}> | {end: JobEnd})[];
  wake: () => void;
  thread: Thread | undefined;
}

interface Thread {
  worker: Worker;
  running: Running | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** A thread that says nothing for this long hangs: its video is a bad one. */
const patience = 120_000;

export function openCutPool(
  threads: number,
  {codec, engine, options}: {codec: ClipCodec; engine: VideoEngine; options: CutOptions},
  silence = patience,
): CutPool {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const queue: Running[] = [];
  const pool: Thread[] = [];
  let nextId = 0;
  let closed = false;

  const end = (running: Running, how: JobEnd) => {
    running.waiting.push({end: how});
    running.wake();
  };
  const free = (thread: Thread): Running | undefined => {
    clearTimeout(thread.timer);
    const {running} = thread;
    thread.running = undefined;
    if (running !== undefined) running.thread = undefined;
    return running;
  };
  const newWorker = () =>
    new Worker(compiledUrl(import.meta.url, './shard_worker.js'), {
      workerData: {codec, engine, options, stop} satisfies ShardWorkerData,
    });
  const listen = (thread: Thread) => {
    thread.worker.on('message', (message: ShardMessage) => hear(thread, message));
    const died = (error: Error) => replace(thread, {error: error.stack ?? error.message, user: false});
    thread.worker.on('error', died);
    thread.worker.on('exit', () => died(new Error('A thread that cuts videos ended by itself.')));
  };
  const hear = (thread: Thread, message: ShardMessage) => {
    const {running} = thread;
    if (running === undefined || running.job.id !== message.id) return;
    watch(thread);
    if ('alive' in message) return;
    running.waiting.push(message);
    running.wake();
    if (!('end' in message)) return;
    free(thread);
    pump();
  };
  const watch = (thread: Thread) => {
    clearTimeout(thread.timer);
    thread.timer = setTimeout(() => {
      // One whose clips nobody takes waits for us.
      if (thread.running !== undefined && thread.running.waiting.length > 0) return watch(thread);
      replace(thread, {bad: {reason: 'timeout', detail: `The decoder gave nothing for ${silence / 1000} s.`}});
    }, silence);
  };
  /** A thread that died or hangs is left to itself; a new one takes over. */
  const replace = (thread: Thread, how: JobEnd) => {
    if (closed) return;
    const {worker} = thread;
    worker.removeAllListeners();
    worker.on('error', () => {});
    worker.unref();
    const running = free(thread);
    thread.worker = newWorker();
    listen(thread);
    if (running !== undefined) end(running, how);
    pump();
  };
  const pump = () => {
    for (const thread of pool) {
      if (thread.running !== undefined) continue;
      const running = queue.shift();
      if (running === undefined) return;
      thread.running = running;
      running.thread = thread;
      watch(thread);
      thread.worker.postMessage({job: running.job} satisfies ShardOrder);
    }
  };
  for (let n = 0; n < threads; n++) {
    const thread: Thread = {worker: newWorker(), running: undefined, timer: undefined};
    listen(thread);
    pool.push(thread);
  }

  return {
    start(job) {
      const running: Running = {job: {...job, id: nextId++}, waiting: [], wake: () => {}, thread: undefined};
      queue.push(running);
      pump();
      return {events: () => eventsOf(running)};
    },
    async close() {
      closed = true;
      Atomics.store(stop, 0, 1);
      const gone = pool.map(thread => {
        const {worker} = thread;
        free(thread);
        worker.removeAllListeners();
        worker.on('error', () => {});
        const exited = new Promise<void>(resolve => worker.once('exit', () => resolve()));
        worker.postMessage('close' satisfies ShardOrder);
        const tired = new Promise<void>(resolve => setTimeout(resolve, 5000).unref());
        return Promise.race([exited, tired]).then(() => worker.unref());
      });
      await Promise.all(gone);
    },
  };
}

async function* eventsOf(running: Running): AsyncGenerator<{clip: CutClip} | {end: Exclude<JobEnd, {error: string}>}> {
  for (;;) {
    const message = running.waiting.shift();
    if (message === undefined) {
      await new Promise<void>(resolve => {
        running.wake = resolve;
      });
      continue;
    }
    if ('clip' in message) {
      running.thread?.worker.postMessage({taken: message.clip.bytes?.byteLength ?? 0} satisfies ShardOrder);
      yield {clip: message.clip};
    } else if ('end' in message) {
      const {end} = message;
      if ('error' in end) throw end.user ? new UserError(end.error) : new Error(`Cutting failed: ${end.error}`);
      yield {end};
      return;
    }
  }
}
