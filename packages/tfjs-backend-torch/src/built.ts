// Where the built addon is, without loading it.
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {nativeSourcesHash} from '../scripts/native_sources.mjs';

const ownRoot = join(dirname(fileURLToPath(import.meta.url)), '..');

export interface Build {
  /** The addon's file. */
  path: string;
  /** libtorch's version. */
  version: string;
  /** What it was built for: 'cpu' or 'cuda'. */
  device: string;
  /** Whether it was compiled from other sources than those beside it; it is then refused. */
  stale: boolean;
}

/** Why a stale build is refused, and what to do. */
export const STALE = 'built from other sources: run "npm run build:torch"';

/**
 * What is built, in the order in which it is tried: the folder that the environment variable TFJS_TORCH_BUILD names, or
 * else builds from the sources at hand before stale ones, CUDA builds before CPU builds and a newer libtorch before an older.
 */
export function findBuilds(packageRoot: string = ownRoot): Build[] {
  const buildRoot = join(packageRoot, 'build');
  if (!existsSync(buildRoot)) return [];
  const hash = nativeSourcesHash(packageRoot);
  const wanted = process.env.TFJS_TORCH_BUILD;
  const builds: Build[] = [];
  for (const folder of readdirSync(buildRoot)) {
    if (wanted !== undefined && folder !== wanted) continue;
    const path = join(buildRoot, folder, 'tfjs_torch.node');
    const about = join(buildRoot, folder, 'build.json');
    if (!existsSync(path) || !existsSync(about)) continue;
    const {version, device, sources} = JSON.parse(readFileSync(about, 'utf8')) as {
      version: string;
      device: string;
      sources?: string;
    };
    builds.push({path, version, device, stale: hash !== undefined && sources !== hash});
  }
  const rank = ({version, device, stale}: Build) =>
    (stale ? -1e12 : 0) +
    (device === 'cuda' ? 1e9 : 0) +
    version.split('.').reduce((sum, part) => sum * 1000 + Number.parseInt(part, 10), 0);
  return builds.sort((a, b) => rank(b) - rank(a));
}

/** The first of them. Undefined where nothing is built. */
export function findBuild(): Build | undefined {
  return findBuilds()[0];
}

/** Whether the addon has been built, by `npm run build:torch` or scripts/build.mjs; it may be stale. */
export function isBuilt(): boolean {
  return findBuild() !== undefined;
}
