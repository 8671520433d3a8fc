// Sets up the `node-gpu` engine: takes @tensorflow/tfjs-node-gpu from npm without its install script, gives it a
// libtensorflow, compiles its binding from the source in the package and runs a small self-test. Linux only.
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {compileBinding} from './compile.mjs';
import {linkLibtensorflow, unpackWheel} from './libtensorflow.mjs';
import {installPackage} from './package.mjs';
import {run, SetupError} from './run.mjs';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const defaultFolder = path.join(repository, '.cache', 'node-gpu');
const defaultWheel = 'tensorflow-cpu==2.21.0';

const help = `Sets up @tensorflow/tfjs-node-gpu for video-ldm's node-gpu engine.

  node scripts/node_gpu/setup.mjs --wheel                       libtensorflow from the pip wheel ${defaultWheel}
  node scripts/node_gpu/setup.mjs --wheel tensorflow==2.21.0    another wheel (this one has the CUDA kernels)
  node scripts/node_gpu/setup.mjs --libtensorflow DIR           your own: DIR/lib and DIR/include, or a Python package's folder

  --into DIR      where to install                 (default ${path.relative(process.cwd(), defaultFolder) || '.'})
  --package DIR   an installed @tensorflow/tfjs-node-gpu or tfjs-node to complete in place, instead of --into
  --force         start again even if it is already set up
Needs npm, g++ (or $CXX), and for --wheel python3 with pip. Then: video-ldm train CONFIG --engine node-gpu`;

/** What the command line asks for. */
function readArguments() {
  const argv = process.argv.slice(2);
  const at = argv.indexOf('--wheel');
  // --wheel alone means the default wheel; parseArgs has no optional values.
  if (at >= 0 && (argv[at + 1] === undefined || argv[at + 1].startsWith('-'))) argv.splice(at + 1, 0, defaultWheel);
  try {
    const {values} = parseArgs({
      args: argv,
      options: {
        wheel: {type: 'string'},
        libtensorflow: {type: 'string'},
        into: {type: 'string'},
        package: {type: 'string'},
        force: {type: 'boolean', default: false},
        help: {type: 'boolean', default: false},
      },
    });
    return values;
  } catch (error) {
    throw new SetupError(`${error.message} See --help.`);
  }
}

/** Checks what cannot work before anything is downloaded. */
function checkArguments(options) {
  if (process.platform !== 'linux')
    throw new SetupError(
      `This script knows Linux only, not ${process.platform}: install @tensorflow/tfjs-node-gpu with its own install script there.`,
    );
  if ((options.wheel === undefined) === (options.libtensorflow === undefined))
    throw new SetupError('Say where libtensorflow comes from: either --wheel or --libtensorflow DIR. See --help.');
  if (options.into !== undefined && options.package !== undefined)
    throw new SetupError(
      '--into and --package exclude each other: the first installs the package, the second completes one.',
    );
  if (options.wheel !== undefined && !/^[A-Za-z0-9_.-]+(==[A-Za-z0-9_.]+)?$/.test(options.wheel))
    throw new SetupError(
      `--wheel expects NAME or NAME==VERSION, such as ${defaultWheel}; "${options.wheel}" is neither.`,
    );
}

async function main() {
  const options = readArguments();
  if (options.help) return console.log(help);
  checkArguments(options);
  const folder = path.resolve(options.into ?? defaultFolder);
  const packageFolder =
    options.package === undefined
      ? await installPackage(folder, repository, options.force)
      : path.resolve(options.package);
  if (!existsSync(path.join(packageFolder, 'binding', 'tfjs_binding.cc')))
    throw new SetupError(
      `${packageFolder} is no @tensorflow/tfjs-node-gpu: it has no binding/tfjs_binding.cc; name the package's own folder.`,
    );
  const deps = path.join(packageFolder, 'deps');
  mkdirSync(deps, {recursive: true});
  const source =
    options.wheel === undefined
      ? linkLibtensorflow(path.resolve(options.libtensorflow), deps)
      : await unpackWheel(options.wheel, deps, options.force);
  const reusesNumbers = await compileBinding(packageFolder, createRequire(path.join(repository, 'package.json')));
  const origin = {...source, reusesNumbers};
  writeFileSync(path.join(packageFolder, 'deps', 'origin.json'), `${JSON.stringify(origin, null, 1)}\n`);
  console.log('Self-test ...');
  await run(process.execPath, [fileURLToPath(new URL('./self_test.mjs', import.meta.url)), packageFolder], {
    echo: true,
    because: 'the self-test of the engine that was just built',
  });
  console.log(`Ready: ${packageFolder}`);
  if (options.into !== undefined)
    console.log(`It is not in the default place: set VIDEO_LDM_NODE_GPU=${packageFolder} when you run video-ldm.`);
}

main().catch(error => {
  console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = 1;
});
