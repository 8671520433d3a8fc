// The data section of a configuration, as the datasets take it.
import {appendFileSync} from 'node:fs';
import {type BadSampleReport, type DataConfig, heldOutClips, type VideoBatch} from '../datasets/index.ts';
import type {CommonConfig} from '../src/config/schema.ts';

export function trainingData({data}: Pick<CommonConfig, 'data'>): DataConfig {
  const [height, width] = data.size;
  return {
    shards: data.train,
    frames: data.frames,
    ...(data.fps === undefined ? {} : {fps: data.fps}),
    height,
    width,
    batchSize: data.batchSize,
    shuffle: data.shuffleWindow,
    decoders: Math.max(1, data.workers),
    onBadSample: data.onBadSample,
  };
}

/** The first clips of the held-out shards, a batch each. */
export async function heldOutBatches(
  config: Pick<CommonConfig, 'data' | 'heldOut'>,
  onBadSample?: (report: BadSampleReport) => void,
): Promise<VideoBatch[]> {
  return heldOutClips({...trainingData(config), shards: config.data.heldOut}, config.heldOut.clips, onBadSample);
}

/** Appends each bad sample to `bad-samples.jsonl`. */
export function badSampleLog(file: string): (report: BadSampleReport) => void {
  return report => appendFileSync(file, `${JSON.stringify(report)}\n`);
}
