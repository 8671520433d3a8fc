// Where a set-up @tensorflow/tfjs-node-gpu is on this machine. Reads folders only: nothing is loaded here.
import {existsSync, readdirSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

/** The variable that names the package's folder and comes before every other place. */
export const folderVariable = 'VIDEO_LDM_NODE_GPU';

// tfjs-node is the same binding under another name.
const packages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];
/** Where `scripts/node_gpu/setup.mjs` puts the package, below the repository's root. */
const setupFolder = path.join('.cache', 'node-gpu', 'node_modules', '@tensorflow', 'tfjs-node-gpu');

export type Located = {folder: string} | {why: string};

/** The folder of the package that would be loaded, or one sentence why there is none. */
export function locateNodeGpu(environment: NodeJS.ProcessEnv = process.env): Located {
  const named = environment[folderVariable];
  if (named !== undefined && named !== '') return complete(path.resolve(named)) ?? incomplete(path.resolve(named));
  const found = [...installed(), ...ancestors(fileURLToPath(import.meta.url)), ...ancestors(process.cwd())];
  for (const folder of found) {
    const usable = complete(folder);
    if (usable !== undefined) return usable;
  }
  if (found[0] !== undefined) return incomplete(found[0]);
  return {
    why: '@tensorflow/tfjs-node-gpu is not installed: see docs/engines.md, or run "node scripts/node_gpu/setup.mjs"',
  };
}

/** Package folders found from this file and from the working folder, as Node resolves packages. */
function installed(): string[] {
  const from = [import.meta.url, path.join(process.cwd(), 'package.json')];
  return packages.flatMap(name =>
    from.flatMap(start => {
      try {
        return [path.dirname(createRequire(start).resolve(`${name}/package.json`))];
      } catch {
        return [];
      }
    }),
  );
}

/** The setup script's folder in any folder above `start`. */
function ancestors(start: string): string[] {
  const found: string[] = [];
  for (let at = path.resolve(start); ; at = path.dirname(at)) {
    const folder = path.join(at, setupFolder);
    if (existsSync(path.join(folder, 'package.json'))) found.push(folder);
    if (at === path.dirname(at)) return found;
  }
}

/** `folder` if its binding is compiled: lib/napi-v*\/tfjs_binding.node. */
function complete(folder: string): {folder: string} | undefined {
  const lib = path.join(folder, 'lib');
  if (!existsSync(path.join(folder, 'package.json')) || !existsSync(lib)) return undefined;
  const built = readdirSync(lib).some(each => existsSync(path.join(lib, each, 'tfjs_binding.node')));
  return built ? {folder} : undefined;
}

function incomplete(folder: string): {why: string} {
  if (!existsSync(path.join(folder, 'package.json'))) return {why: `${folder} is not the folder of a package`};
  return {
    why: `${folder} has no compiled binding (lib/napi-v*/tfjs_binding.node): run "node scripts/node_gpu/setup.mjs --package ${folder}" with --wheel or --libtensorflow`,
  };
}
