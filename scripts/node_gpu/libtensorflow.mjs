// Puts a libtensorflow under a package's deps/: links to one that is on this machine, or the one in a pip wheel.
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync} from 'node:fs';
import path from 'node:path';
import {run, SetupError} from './run.mjs';

// The C library under its own name, or as it comes in a Python package. The framework library is a part of it.
const libraries = [
  {main: 'libtensorflow_cc.so.2', framework: 'libtensorflow_framework.so.2'},
  {main: 'libtensorflow.so.2', framework: 'libtensorflow_framework.so.2'},
  {main: 'libtensorflow.so', framework: 'libtensorflow_framework.so'},
];
const header = path.join('tensorflow', 'c', 'eager', 'c_api.h');

/** The pair of libraries in `folder`, or undefined. */
export function findLibraries(folder) {
  return libraries.find(
    ({main, framework}) => existsSync(path.join(folder, main)) && existsSync(path.join(folder, framework)),
  );
}

/**
 * Links deps/lib and deps/include to a libtensorflow in `folder`: its libraries in folder/lib or folder itself, its
 * headers in folder/include. The folder must stay where it is.
 */
export function linkLibtensorflow(folder, deps) {
  const lib = [path.join(folder, 'lib'), folder].find(findLibraries);
  if (lib === undefined)
    throw new SetupError(
      `${folder} holds no libtensorflow: expected libtensorflow.so.2 (or libtensorflow_cc.so.2) and libtensorflow_framework.so.2 in it or in its lib/.`,
    );
  const include = path.join(folder, 'include');
  if (!existsSync(path.join(include, header)))
    throw new SetupError(
      `${folder} has no C headers: expected include/${header}; use a libtensorflow archive or a Python package's folder.`,
    );
  for (const [name, target] of [
    ['lib', lib],
    ['include', include],
  ]) {
    rmSync(path.join(deps, name), {recursive: true, force: true});
    symlinkSync(target, path.join(deps, name), 'dir');
  }
  return {from: folder};
}

// Copies only the libraries and the headers out of the wheel; zipfile keeps every member below the target folder.
const unpack = `
import sys, zipfile
wheel, target = sys.argv[1:3]
with zipfile.ZipFile(wheel) as z:
    for i in z.infolist():
        n = i.filename
        if n.startswith('tensorflow/libtensorflow_') or n.startswith('tensorflow/include/') and n.endswith('.h') and n.split('/')[2] in ('tensorflow', 'tsl', 'xla'):
            z.extract(i, target)
`;

// The newest C library an old system can load decides; which Python the wheel is for does not matter: no Python code is used.
const platforms = {x64: 'x86_64', arm64: 'aarch64'};
const glibcs = ['manylinux_2_17', 'manylinux2014', 'manylinux_2_27', 'manylinux_2_28'];

/** Downloads the wheel `requirement` (NAME or NAME==VERSION) with pip and unpacks its libtensorflow into deps/. */
export async function unpackWheel(requirement, deps, force) {
  const done = path.join(deps, `wheel-${requirement}`);
  const tensorflow = path.join(done, 'tensorflow');
  if (force || findLibraries(tensorflow) === undefined) {
    const machine = platforms[process.arch];
    if (machine === undefined)
      throw new SetupError(
        `There is no ${requirement} wheel for ${process.arch}: give your own with --libtensorflow DIR.`,
      );
    console.log(`Downloading the wheel ${requirement} (200 to 650 MB) ...`);
    const download = mkdtempSync(path.join(deps, 'download-'));
    try {
      await run(
        'python3',
        [
          ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--python-version', '3.11'],
          ...glibcs.flatMap(glibc => ['--platform', `${glibc}_${machine}`]),
          ...['--disable-pip-version-check', '--quiet', '--dest', download, requirement],
        ],
        {
          because: `downloading the wheel ${requirement}`,
          missing: 'install python3 and pip, or use --libtensorflow DIR',
        },
      );
      const wheel = readdirSync(download).find(file => file.endsWith('.whl'));
      if (wheel === undefined) throw new SetupError(`pip downloaded no wheel for ${requirement} into ${download}.`);
      rmSync(done, {recursive: true, force: true});
      mkdirSync(done);
      await run('python3', ['-c', unpack, path.join(download, wheel), done], {because: `unpacking ${wheel}`});
    } finally {
      rmSync(download, {recursive: true, force: true});
    }
  }
  linkLibtensorflow(tensorflow, deps);
  return {from: `wheel ${requirement}`};
}
