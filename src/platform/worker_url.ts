// Where the compiled file of a worker or child process is. Node runs JavaScript: a module that is itself executed from
// TypeScript source (tests) must start the compiled twin in dist/ instead of the file beside it.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';

/**
 * The URL of the compiled module `relative` (written with `.js`) as seen from the module at `from` (`import.meta.url`).
 * @throws Error when the build is missing.
 */
export function compiledUrl(from: string, relative: string): URL {
  const beside = new URL(relative, from);
  if (!from.endsWith('.ts')) return beside;
  const file = fileURLToPath(beside);
  for (let root = path.dirname(file); root !== path.dirname(root); root = path.dirname(root)) {
    if (!existsSync(path.join(root, 'tsconfig.json'))) continue;
    const compiled = path.join(root, 'dist', path.relative(root, file).replace(/^src\//, withinPackage(root)));
    if (existsSync(compiled)) return pathToFileURL(compiled);
    throw new Error(`The compiled file ${compiled} is missing: run "npm run build" first.`);
  }
  throw new Error(`No tsconfig.json above ${file}: cannot tell where its compiled twin is.`);
}

/** A package compiles src/ to dist/ itself; the repository's root keeps the folder (dist/src). */
function withinPackage(root: string): string {
  return path.basename(path.dirname(root)) === 'packages' ? '' : 'src/';
}
