// Where the built addon is, without loading it.
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const buildRoot = join(dirname(fileURLToPath(import.meta.url)), '..', 'build');

export interface Build {
  /** The addon's file. */
  path: string;
  /** libtorch's version. */
  version: string;
  /** What it was built for: 'cpu' or 'cuda'. */
  device: string;
}

/**
 * What is built, in the order in which it is tried: the folder that the environment variable TFJS_TORCH_BUILD names, or
 * else CUDA builds before CPU builds and a newer libtorch before an older one.
 */
export function findBuilds(): Build[] {
  if (!existsSync(buildRoot)) return [];
  const wanted = process.env.TFJS_TORCH_BUILD;
  const builds: Build[] = [];
  for (const folder of readdirSync(buildRoot)) {
    if (wanted !== undefined && folder !== wanted) continue;
    const path = join(buildRoot, folder, 'tfjs_torch.node');
    const about = join(buildRoot, folder, 'build.json');
    if (!existsSync(path) || !existsSync(about)) continue;
    const {version, device} = JSON.parse(readFileSync(about, 'utf8')) as {version: string; device: string};
    builds.push({path, version, device});
  }
  const rank = ({version, device}: Build) =>
    (device === 'cuda' ? 1e9 : 0) + version.split('.').reduce((sum, part) => sum * 1000 + Number.parseInt(part, 10), 0);
  return builds.sort((a, b) => rank(b) - rank(a));
}

/** The first of them. Undefined where nothing is built. */
export function findBuild(): Build | undefined {
  return findBuilds()[0];
}

/** Whether the addon has been built, by `npm run build:torch` or scripts/build.mjs. */
export function isBuilt(): boolean {
  return findBuild() !== undefined;
}
