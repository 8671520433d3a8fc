// A thread that cuts videos into clips: takes one video, sends its clips, waits when too many bytes of them are not taken yet.
import {parentPort, workerData} from 'node:worker_threads';
import {type BadReason, BadSample} from './bad_sample.ts';
import {type ClipCodec, openClipEncoder} from './clip_file.ts';
import {type CutClip, type CutOptions, cutClips, Filtered} from './cut_clips.ts';
import {openVideoReader, type VideoEngine} from './video/video_reader.ts';

export interface ShardWorkerData {
  codec: ClipCodec;
  engine: VideoEngine;
  options: CutOptions;
  /** Word 0: stop as soon as may be. */
  stop: Int32Array<SharedArrayBuffer>;
}

export interface ShardJob {
  id: number;
  file: string;
  relative: string;
  /** Clips before this one are known already. */
  from: number;
}

export type JobEnd =
  | {bad: {reason: BadReason; detail: string}}
  | {filtered: string}
  | {error: string; user: boolean}
  | {shots: number};

export type ShardMessage = {id: number} & ({clip: CutClip} | {end: JobEnd} | {alive: true});
export type ShardOrder = {job: ShardJob} | {taken: number} | 'close';

const mostBytes = 16 * 2 ** 20;
const aliveEvery = 2000;

class Stopped extends Error {}

if (parentPort !== null) {
  const port = parentPort;
  const {codec, engine, options, stop} = workerData as ShardWorkerData;
  const tools = Promise.all([openVideoReader(engine), openClipEncoder(codec, engine)]);
  tools.catch(() => {}); // reported by the job that needs them
  let waiting = 0;
  let wake = () => {};
  const post = (message: ShardMessage, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

  const run = async ({id, file, relative, from}: ShardJob): Promise<void> => {
    let said = Date.now();
    const onFrame = () => {
      if (Atomics.load(stop, 0) === 1) throw new Stopped();
      if (Date.now() - said < aliveEvery) return;
      said = Date.now();
      post({id, alive: true});
    };
    let shots = 0;
    try {
      const [reader, encoder] = await tools;
      for await (const clip of cutClips({file, relative}, options, {reader, encoder}, from, onFrame)) {
        shots = clip.shot + 1;
        if (clip.bytes === undefined) continue;
        const bytes = new Uint8Array(clip.bytes); // in memory of its own: it is sent away
        waiting += bytes.byteLength;
        post({id, clip: {...clip, bytes}}, [bytes.buffer as ArrayBuffer]);
        while (waiting > mostBytes && Atomics.load(stop, 0) === 0) {
          await new Promise<void>(resolve => {
            wake = resolve;
          });
        }
      }
      post({id, end: {shots}});
    } catch (error) {
      post({id, end: endOf(error)});
    }
  };

  port.on('message', (order: ShardOrder) => {
    if (order === 'close') {
      wake();
      port.close();
    } else if ('job' in order) {
      waiting = 0;
      void run(order.job);
    } else {
      waiting -= order.taken;
      wake();
    }
  });
}

function endOf(error: unknown): JobEnd {
  if (error instanceof BadSample) return {bad: {reason: error.reason, detail: error.message}};
  if (error instanceof Filtered) return {filtered: error.message};
  if (!(error instanceof Error)) return {error: String(error), user: false};
  const user = error.name === 'UserError';
  return {error: user ? error.message : (error.stack ?? error.message), user};
}
