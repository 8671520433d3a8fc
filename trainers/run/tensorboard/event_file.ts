// TensorBoard's event files: scalars and images of a run, for `tensorboard --logdir runs`. Each start of the run writes a file
// of its own, so that nothing already written can be torn; a resumed run says where it starts, and TensorBoard forgets what the
// steps after that had said. Numbers of fields are those of TensorFlow's event.proto and summary.proto.
import {appendFileSync, mkdirSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {BinaryWriter} from '@bufbuild/protobuf/wire';
import {tfRecord} from './tfrecord.ts';

export interface EventImage {
  readonly tag: string;
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

export interface EventFile {
  readonly path: string;
  scalars(step: number, figures: Readonly<Record<string, number>>): void;
  /** False, and nothing is written, where the image is larger than MAX_IMAGE_BYTES. */
  image(step: number, image: EventImage): boolean;
}

/** Larger previews stay in the previews folder alone. */
export const MAX_IMAGE_BYTES = 2 ** 24;
/** SessionLog.START */
const START = 1;
const RGB = 3;

/** Starts an event file in `folder`; `firstStep`: the run goes on from there. */
export function openEventFile(folder: string, firstStep: number, now: () => number = Date.now): EventFile {
  mkdirSync(folder, {recursive: true});
  const started = Math.floor(now() / 1000);
  const file = path.join(
    folder,
    `events.out.tfevents.${String(started).padStart(10, '0')}.${os.hostname()}.${process.pid}`,
  );
  const append = (step: number, content: (event: BinaryWriter) => BinaryWriter) => {
    const event = new BinaryWriter().tag(1, 1).double(now() / 1000);
    if (step > 0) event.tag(2, 0).int64(step);
    appendFileSync(file, tfRecord(content(event).finish()));
  };
  append(0, event => event.tag(3, 2).string('brain.Event:2'));
  if (firstStep > 0) append(firstStep + 1, event => event.tag(7, 2).fork().tag(1, 0).int32(START).join());

  return {
    path: file,
    scalars(step, figures) {
      const summary = new BinaryWriter();
      for (const [tag, value] of Object.entries(figures)) {
        summary.tag(1, 2).fork().tag(1, 2).string(tag).tag(2, 5).float(value).join();
      }
      append(step, event => event.tag(5, 2).bytes(summary.finish()));
    },
    image(step, {tag, width, height, png}) {
      if (png.length > MAX_IMAGE_BYTES) return false;
      const image = new BinaryWriter().tag(1, 0).int32(height).tag(2, 0).int32(width).tag(3, 0).int32(RGB);
      const value = new BinaryWriter().tag(1, 2).string(tag).tag(4, 2).bytes(image.tag(4, 2).bytes(png).finish());
      const summary = new BinaryWriter().tag(1, 2).bytes(value.finish());
      append(step, event => event.tag(5, 2).bytes(summary.finish()));
      return true;
    },
  };
}
