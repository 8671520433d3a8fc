// Where previews go: one numbered name per step, never written over; a step that a resumed run repeats gets another.
import {mkdir, readdir} from 'node:fs/promises';
import path from 'node:path';
import {type Frames, writeContactSheet, writeVideo} from '../../datasets/index.ts';

/** A contact sheet of all clips and, with `fps`, a video of each. Returns the paths. */
export async function previewFiles(
  folder: string,
  step: number,
  clips: readonly Frames[],
  fps: number | undefined,
): Promise<string[]> {
  await mkdir(folder, {recursive: true});
  const name = await freeName(folder, `step-${String(step).padStart(8, '0')}`);
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

/** `name`, or `name-again2` and so on where files of that name are there. */
async function freeName(folder: string, name: string): Promise<string> {
  const taken = await readdir(folder);
  const isTaken = (candidate: string) =>
    taken.some(file => file === `${candidate}.png` || file.startsWith(`${candidate}-0.`));
  if (!isTaken(name)) return name;
  for (let again = 2; ; again++) {
    const candidate = `${name}-again${again}`;
    if (!isTaken(candidate)) return candidate;
  }
}
