// Takes @tensorflow/tfjs-node-gpu from npm into a folder of its own, without install scripts, and makes it share the
// repository's copy of TensorFlow.js: two copies would register every cpu kernel twice and compare tensors across copies.
import {existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {run} from './run.mjs';

const name = '@tensorflow/tfjs-node-gpu';
const version = '4.22.0';
// Packages of the union that video-ldm has itself, in the same version.
const shared = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers', '@tensorflow/tfjs-backend-cpu'];

/**
 * Installs the package below `folder` and returns its own folder.
 * @param {string} folder e.g. .cache/node-gpu
 * @param {string} repository the folder whose node_modules holds the TensorFlow.js to share
 * @param {boolean} force install even if it is there
 */
export async function installPackage(folder, repository, force) {
  const packageFolder = path.join(folder, 'node_modules', name);
  if (force) rmSync(path.join(folder, 'node_modules'), {recursive: true, force: true});
  if (!existsSync(path.join(packageFolder, 'package.json'))) {
    console.log(`Installing ${name}@${version} (without its install script) into ${folder} ...`);
    mkdirSync(folder, {recursive: true});
    writeFileSync(path.join(folder, 'package.json'), '{"private": true}\n');
    await run(
      'npm',
      [
        'install',
        '--prefix',
        folder,
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--no-package-lock',
        `${name}@${version}`,
      ],
      {cwd: folder, because: `installing ${name}@${version}`},
    );
  }
  const require = createRequire(path.join(repository, 'package.json'));
  for (const each of shared) {
    const link = path.join(folder, 'node_modules', each);
    const target = path.dirname(require.resolve(`${each}/package.json`));
    rmSync(link, {recursive: true, force: true});
    symlinkSync(target, link, 'dir');
  }
  return packageFolder;
}
