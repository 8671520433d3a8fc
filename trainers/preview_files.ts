// Where previews go: one numbered name per step, never written over.
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {type Frames, writeContactSheet, writeVideo} from '../datasets/index.ts';

/** A contact sheet of all clips and, with `fps`, a video of each. Returns the paths. */
export async function previewFiles(
  folder: string,
  step: number,
  clips: readonly Frames[],
  fps: number | undefined,
): Promise<string[]> {
  await mkdir(folder, {recursive: true});
  const name = `step-${String(step).padStart(8, '0')}`;
  const files = [];
  if (fps !== undefined) {
    for (const [i, clip] of clips.entries())
      files.push(await writeVideo(path.join(folder, `${name}-${i}.mp4`), clip, fps));
  }
  files.push(
    await writeContactSheet(
      path.join(folder, `${name}.png`),
      clips.map(frames => ({frames})),
    ),
  );
  return files;
}
