// The data section of a configuration, as the datasets take it.
import {appendFileSync, existsSync, readFileSync} from 'node:fs';
import {type BadSampleReport, type DataConfig, heldOutClips, type VideoBatch} from '../../datasets/index.ts';
import type {CommonConfig} from '../../src/config/schema.ts';
import {autoencoderHash, textEncoderHash} from '../encode/encoder_hash.ts';
import type {Parts} from '../parents/parts.ts';
import {textOf} from '../parents/resolve_conditions.ts';

/** What of a parent decides which latents and embeddings are the run's own. */
export type Encoders = Pick<Parts, 'autoencoder' | 'conditions'>;

/** Stages that see frames only through the frozen autoencoder, so that latents do as well. */
const latentStages: ReadonlySet<string> = new Set(['image', 'temporal', 'prediction', 'interpolation']);

/** @param encoders of the run's parent; undefined where there is none. */
export function trainingData({data, stage}: Pick<CommonConfig, 'data' | 'stage'>, encoders: Encoders = {}): DataConfig {
  const [height, width] = data.size;
  const {autoencoder, conditions} = encoders;
  // Embeddings of a text encoder that trains are out of date.
  const text = conditions && !(conditions.textTrains && stage === 'image') ? textOf(conditions) : undefined;
  const takesLatents = autoencoder !== undefined && latentStages.has(stage);
  return {
    shards: data.train.map(source =>
      typeof source === 'string'
        ? source
        : {
            shards: source.shards,
            weight: source.weight,
            kind: source.kind,
            ...(source.fps === undefined ? {} : {fps: source.fps}),
            ...(source.caption === undefined ? {} : {caption: source.caption}),
          },
    ),
    frames: data.frames,
    ...(data.fps === undefined ? {} : {fps: data.fps}),
    height,
    width,
    batchSize: data.batchSize,
    ...(data.buckets === undefined ? {} : {buckets: data.buckets.map(bucketOf)}),
    crop: data.crop,
    flip: data.flip,
    captions: data.captions,
    labels: data.labels,
    shuffle: data.shuffleWindow,
    decoders: Math.max(1, data.workers),
    onBadSample: data.onBadSample,
    ...(takesLatents ? {latents: {encoder: autoencoderHash(autoencoder)}} : {}),
    ...(text ? {text: {encoder: textEncoderHash(text)}} : {}),
    ...(data.cache === undefined
      ? {}
      : {
          cache: {folder: data.cache.folder, maxBytes: Math.round(data.cache.gigabytes * 1e9), ahead: data.cache.ahead},
        }),
    http: {retries: data.http.retries, stallTimeout: Math.round(data.http.stallSeconds * 1000)},
  };
}

function bucketOf({frames, size, batchSize}: NonNullable<CommonConfig['data']['buckets']>[number]) {
  return {
    ...(frames === undefined ? {} : {frames}),
    ...(size === undefined ? {} : {height: size[0], width: size[1]}),
    ...(batchSize === undefined ? {} : {batchSize}),
  };
}

/** The first clips of the held-out shards, a batch each. */
export async function heldOutBatches(
  config: Pick<CommonConfig, 'data' | 'heldOut' | 'stage'>,
  encoders?: Encoders,
  onBadSample?: (report: BadSampleReport) => void,
): Promise<VideoBatch[]> {
  const data = {...trainingData(config, encoders), shards: config.data.heldOut};
  return heldOutClips(data, config.heldOut.clips, onBadSample);
}

/**
 * Appends each bad sample to `bad-samples.jsonl`, once: every epoch meets it again, and so may a run that resumes.
 * @returns whether it was a new one.
 */
export function badSampleLog(file: string): (report: BadSampleReport) => boolean {
  const name = ({shard, key, reason}: BadSampleReport) => JSON.stringify([shard, key, reason]);
  const listed = new Set(existsSync(file) ? listedIn(readFileSync(file, 'utf8')).map(name) : []);
  return report => {
    if (listed.has(name(report))) return false;
    listed.add(name(report));
    appendFileSync(file, `${JSON.stringify(report)}\n`);
    return true;
  };
}

/** A line that a kill cut short is passed over. */
function listedIn(text: string): BadSampleReport[] {
  return text.split('\n').flatMap(line => {
    try {
      return line === '' ? [] : [JSON.parse(line) as BadSampleReport];
    } catch {
      return [];
    }
  });
}
