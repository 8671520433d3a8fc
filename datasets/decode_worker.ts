// A decoding thread: takes one sample's bytes, writes its clip into a slot of shared memory, answers with a few numbers.
import {parentPort, workerData} from 'node:worker_threads';
import {type BadReason, BadSample} from './bad_sample.ts';
import type {ClipWanted} from './clip_cut.ts';
import {type ClipDone, decodeMedia, type WholeWanted} from './media.ts';
import {type BusyWords, whileBusy} from './quiet_exit.ts';
import {openVideoReader, type VideoEngine, type VideoReader} from './video/video_reader.ts';

export interface DecodeJob {
  id: number;
  bytes: Uint8Array;
  extension: string;
  wanted: ClipWanted | WholeWanted;
  /** The slot: shared memory of at least the largest clip. */
  slot: SharedArrayBuffer;
}

export type DecodeAnswer =
  | ({id: number} & ClipDone)
  | {id: number; reason: BadReason; detail: string}
  | {id: number; error: string; user: boolean};

export interface DecodeWorkerData {
  engine: VideoEngine | 'auto';
  busy: BusyWords;
  /** This thread's number in its pool. */
  thread: number;
}

if (parentPort !== null) {
  const port = parentPort;
  const {engine, busy, thread} = workerData as DecodeWorkerData;
  let reader: Promise<VideoReader> | undefined;
  const open = () => {
    reader ??= openVideoReader(engine);
    return reader;
  };
  port.on('message', (job: DecodeJob | 'close') => {
    // Ends by itself: a thread that is terminated while native code runs takes the process down.
    if (job === 'close') return port.close();
    const into = new Uint8Array(job.slot);
    whileBusy(busy, thread, () => decodeMedia(job.bytes, job.extension, job.wanted, into, open)).then(
      done => done !== undefined && port.postMessage({id: job.id, ...done} satisfies DecodeAnswer),
      (error: unknown) => port.postMessage(answerOf(job.id, error)),
    );
  });
}

function answerOf(id: number, error: unknown): DecodeAnswer {
  if (error instanceof BadSample) return {id, reason: error.reason, detail: error.message};
  if (!(error instanceof Error)) return {id, error: String(error), user: false};
  const user = error.name === 'UserError';
  return {id, error: user ? error.message : (error.stack ?? error.message), user};
}
