// A decoding thread: takes one sample's bytes, writes its clip into a slot of shared memory, answers with a few numbers.
import {parentPort, workerData} from 'node:worker_threads';
import {type BadReason, BadSample} from './bad_sample.ts';
import {type ClipWanted, decodeMedia} from './media.ts';
import {openVideoReader, type VideoEngine, type VideoReader} from './video/video_reader.ts';

export interface DecodeJob {
  id: number;
  bytes: Uint8Array;
  extension: string;
  wanted: ClipWanted;
  /** Byte offset of the slot in the shared memory. */
  offset: number;
}

export type DecodeAnswer =
  | {id: number; fps: number}
  | {id: number; reason: BadReason; detail: string}
  | {id: number; error: string; user: boolean};

export interface DecodeWorkerData {
  memory: SharedArrayBuffer;
  engine: VideoEngine | 'auto';
}

if (parentPort !== null) {
  const port = parentPort;
  const {memory, engine} = workerData as DecodeWorkerData;
  let reader: Promise<VideoReader> | undefined;
  const open = () => {
    reader ??= openVideoReader(engine);
    return reader;
  };
  port.on('message', (job: DecodeJob) => {
    const size = job.wanted.frames * job.wanted.height * job.wanted.width * 3;
    const into = new Uint8Array(memory, job.offset, size);
    decodeMedia(job.bytes, job.extension, job.wanted, into, open).then(
      ({fps}) => port.postMessage({id: job.id, fps} satisfies DecodeAnswer),
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
