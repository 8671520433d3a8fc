// What a machine has of the native libraries that the torch engine is built on. Reads folders and asks two programs, with
// argument lists and a time limit; loads nothing.
import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';

export interface Libtorch {
  folder: string;
  version: string;
  from: 'LIBTORCH_DIR' | 'python' | 'system';
}

/** In the order of `npm run build:torch`: LIBTORCH_DIR, the python3 on the PATH, a system library. */
export function findLibtorch(environment: NodeJS.ProcessEnv = process.env): Libtorch | undefined {
  const named = environment.LIBTORCH_DIR;
  if (named !== undefined && existsSync(path.join(named, 'include', 'torch'))) {
    return {folder: named, version: versionIn(path.join(named, 'build-version')) ?? 'unknown', from: 'LIBTORCH_DIR'};
  }
  // find_spec locates the package without the seconds that importing it takes.
  const code =
    'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")';
  const folder = output('python3', ['-c', code]);
  if (folder !== undefined && existsSync(path.join(folder, 'lib', 'libtorch.so'))) {
    const text = existsSync(path.join(folder, 'version.py'))
      ? readFileSync(path.join(folder, 'version.py'), 'utf8')
      : '';
    return {folder, version: /__version__ = '([^']+)'/.exec(text)?.[1] ?? 'unknown', from: 'python'};
  }
  for (const library of libraryFolders()) {
    const file = readdirSync(library).find(name => /^libtorch\.so/.test(name));
    if (file === undefined) continue;
    const version = readdirSync(library)
      .map(name => /^libtorch\.so\.(\d+\.\d+)/.exec(name)?.[1])
      .find(Boolean);
    return {folder: library, version: version ?? 'unknown', from: 'system'};
  }
  return undefined;
}

/** The library file, if installed. */
export function findOpenblas(): string | undefined {
  for (const folder of libraryFolders()) {
    for (const place of [path.join(folder, 'openblas-pthread'), folder]) {
      const file = existsSync(place) ? readdirSync(place).find(name => name.startsWith('libopenblas')) : undefined;
      if (file !== undefined) return path.join(place, file);
    }
  }
  return undefined;
}

/** The first GPU's name, asked of nvidia-smi. */
export function findGpu(): string | undefined {
  return output('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'])?.split('\n')[0] || undefined;
}

function libraryFolders(): string[] {
  const machine = {x64: 'x86_64', arm64: 'aarch64'}[process.arch as string] ?? process.arch;
  return [`/usr/lib/${machine}-linux-gnu`, '/usr/lib64', '/usr/local/lib', '/usr/lib'].filter(existsSync);
}

function versionIn(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

function output(program: string, args: string[]): string | undefined {
  const result = spawnSync(program, args, {encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore']});
  return result.status === 0 ? result.stdout.trim() : undefined;
}
