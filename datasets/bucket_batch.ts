// A batch in the making: clips of one bucket stacked until it is full.
import type {LatentArrays, TextArrays, VideoBatch} from './batch.ts';
import type {Bucket} from './data_config.ts';
import type {ReadyClip} from './ready_clip.ts';

export type UnplacedBatch = Omit<VideoBatch, 'position' | 'waitedMs'>;

export interface BucketBatch {
  readonly count: number;
  /** Copies the clip in and releases it; true when the batch is full. */
  add(clip: ReadyClip): boolean;
  /** What was added, in memory of its own. */
  take(): UnplacedBatch;
}

/** Batches of pixels and of latents of different shape are made apart: what this names is one batch's. */
export function batchName({bucket, content}: ReadyClip): string {
  return 'pixels' in content ? `${bucket} pixels` : `${bucket} latents ${content.latents.shape}`;
}

export function bucketBatch({batchSize: B, frames: T, height: H, width: W}: Bucket, first: ReadyClip): BucketBatch {
  const form = first.content;
  const size = T * H * W * 3;
  const pixels = 'pixels' in form ? new Uint8Array(B * size) : undefined;
  const latents = 'latents' in form ? latentStack(B, form.latents.shape) : undefined;
  const clips: Omit<ReadyClip, 'content' | 'release'>[] = [];

  const add = ({content, release, ...clip}: ReadyClip): boolean => {
    if ('pixels' in content) pixels!.set(content.pixels, clips.length * size);
    else latents!.set(content.latents, clips.length);
    release();
    clips.push(clip);
    return clips.length === B;
  };
  return {
    get count() {
      return clips.length;
    },
    add,
    take() {
      const count = clips.length;
      const text = textStack(clips);
      return {
        kind: T === 1 ? 'images' : 'clips',
        frames: pixels === undefined ? new Uint8Array() : count === B ? pixels : pixels.slice(0, count * size),
        shape: [count, T, H, W, 3],
        ...(latents === undefined ? {} : {latents: latents.take(count)}),
        ...(text === undefined ? {} : {text}),
        keys: clips.map(({key}) => key),
        captions: clips.map(({caption}) => caption),
        fps: clips.map(({fps}) => fps),
        labels: clips.map(({labels}) => labels),
        boxes: clips.map(({boxes}) => boxes),
        metadata: clips.map(({metadata}) => metadata),
      };
    },
  };
}

function latentStack(batch: number, [t, h, w, c]: readonly [number, number, number, number]) {
  const each = t * h * w * c;
  const mean = new Float32Array(batch * each);
  const logvar = new Float32Array(batch * each);
  return {
    set(clip: {mean: Float32Array; logvar: Float32Array}, n: number) {
      mean.set(clip.mean, n * each);
      logvar.set(clip.logvar, n * each);
    },
    take(count: number): LatentArrays {
      const part = (all: Float32Array) => (count === batch ? all : all.slice(0, count * each));
      return {mean: part(mean), logvar: part(logvar), shape: [count, t, h, w, c]};
    },
  };
}

/** Embeddings of all the clips; undefined when one of them has none or is of another shape. */
function textStack(clips: readonly Pick<ReadyClip, 'text'>[]): TextArrays | undefined {
  const first = clips[0]?.text;
  if (first === undefined) return undefined;
  if (clips.some(({text}) => text?.shape.join() !== first.shape.join())) return undefined;
  const [l, d] = first.shape;
  const hidden = new Float32Array(clips.length * l * d);
  for (const [n, {text}] of clips.entries()) hidden.set(text!.hidden, n * l * d);
  return {hidden, shape: [clips.length, l, d]};
}
