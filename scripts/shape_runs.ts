// What the measurements on captioned moving shapes share: their shards, and runs of configs/moving-shapes that are made where they
// are not there yet.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {writeShapeShards} from './moving_shapes.ts';
import {step} from './stage_runs.ts';

export const shapesRoot = path.join('runs', 'moving-shapes');
const clips = {frames: 6, size: 16, fps: 8, pace: 0.1, path: 'outward', lit: true} as const;

/** Held-out clips have other places, and the same words. */
export async function makeShapeShards(): Promise<void> {
  const folder = path.join(shapesRoot, 'shards');
  if (existsSync(path.join(folder, 'subject-validation-000000.tar'))) return;
  await writeShapeShards(folder, 'train', {...clips, count: 768, seed: 1});
  await writeShapeShards(folder, 'validation', {...clips, count: 32, seed: 2});
  await writeShapeShards(folder, 'light', {...clips, count: 384, seed: 3, style: 'light'});
  await writeShapeShards(folder, 'light-validation', {...clips, count: 32, seed: 4, style: 'light'});
  await writeShapeShards(folder, 'subject', {...clips, count: 16, seed: 5, subject: true});
  await writeShapeShards(folder, 'subject-validation', {...clips, count: 32, seed: 6, subject: true});
}

/** The run of a configuration, trained now or before; `more` are further arguments of `video-ldm train`. */
export function shapeRun(name: string, more: readonly string[]): string {
  step(name, ['train', path.join('configs', 'moving-shapes', `${name}.yaml`), '--log', 'pretty', ...more]);
  return path.join(shapesRoot, name);
}
