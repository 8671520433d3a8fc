// Builds the addon against the libtorch it finds: LIBTORCH_DIR, then the torch package of the python3 on the PATH, then
// a system libtorch (Debian's libtorch-dev). Downloads nothing. TFJS_TORCH_DEVICE=cpu leaves CUDA out. Result: build/torch-VERSION-DEVICE/tfjs_torch.node
import {execFileSync, spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {availableParallelism} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {nativeSourcesHash} from './native_sources.mjs';

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

const howToInstall = `No libtorch was found. Any one of these will do:
  Debian or Ubuntu:  apt-get install libtorch-dev libopenblas0-pthread   (without the second, matmul is 30 times slower)
  a Python package:  pip install torch                                    (CPU or CUDA; its python3 must be on the PATH)
  a libtorch folder: LIBTORCH_DIR=/path/to/libtorch                       (holding include/ and lib/)
Then run this again.`;

const {torch, why} = findTorch();
if (!torch) fail(`${why}\n${howToInstall}`);
for (const [tool, hint] of [
  ['cmake', 'apt-get install cmake'],
  ['c++', 'apt-get install g++'],
]) {
  if (spawnSync(tool, ['--version']).error) fail(`${tool} is not on the PATH; install it (Debian: ${hint}).`);
}

const wanted = process.env.TFJS_TORCH_DEVICE; // 'cpu' builds for the CPU although this libtorch has CUDA
const cudaInclude = torch.hasCuda && wanted !== 'cpu' ? findCudaInclude() : undefined;
if (torch.hasCuda && wanted !== 'cpu' && !cudaInclude)
  console.log(
    'This libtorch has CUDA, but no CUDA headers were found (the CUDA toolkit, or the wheels nvidia-cuda-runtime, nvidia-cuda-nvrtc, nvidia-cuda-crt and nvidia-cuda-cccl): building for CPU.',
  );
const device = cudaInclude ? 'cuda' : 'cpu';
const outDir = join(packageRoot, 'build', `torch-${torch.version}-${device}`);
console.log(`libtorch ${torch.version} (${torch.from}) in ${torch.lib}, for ${device}, into ${outDir}`);

const started = Date.now();
// Taken before compiling: sources that change meanwhile make the build stale.
const sources = nativeSourcesHash(packageRoot);
const newer = Number(torch.version.split('.')[0]) >= 2;
run('cmake', [
  '-S',
  packageRoot,
  '-B',
  outDir,
  ...(hasNinja() ? ['-G', 'Ninja'] : []),
  `-DNODE_API_INCLUDE=${require('node-api-headers').include_dir}`,
  `-DTORCH_INCLUDE=${torch.include.join(';')}`,
  `-DTORCH_LIB=${torch.lib}`,
  `-DTORCH_CXX_STANDARD=${newer && atLeast(torch.version, 2, 10) ? 20 : 17}`,
  `-DCUDA_INCLUDE=${cudaInclude?.join(';') ?? ''}`,
  ...(torch.cxx11Abi === undefined ? [] : [`-DCXX11_ABI=${torch.cxx11Abi}`]),
]);
run('cmake', ['--build', outDir, '--parallel', String(availableParallelism())]);
writeFileSync(
  join(outDir, 'build.json'),
  `${JSON.stringify({version: torch.version, device, lib: torch.lib, from: torch.from, sources}, null, 1)}\n`,
);
console.log(`Built ${join(outDir, 'tfjs_torch.node')} in ${((Date.now() - started) / 1000).toFixed(0)} s.`);

function findTorch() {
  const fromEnvironment = process.env.LIBTORCH_DIR;
  if (fromEnvironment) {
    const found = folder(fromEnvironment, 'LIBTORCH_DIR');
    // A folder that was asked for by name is used or refused, never passed over.
    return found
      ? {torch: found}
      : {why: `LIBTORCH_DIR is ${fromEnvironment}, where include/ATen/ATen.h or lib/libtorch_cpu.so is missing.`};
  }
  const python = spawnSync(
    'python3',
    ['-c', 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")'],
    {encoding: 'utf8'},
  );
  const pythonFolder = python.stdout?.trim();
  // Debian's python3-torch has no headers of its own; they are libtorch-dev's.
  const found =
    (pythonFolder && folder(pythonFolder, 'the torch package of python3')) ||
    folder('/usr', 'the system') ||
    folder('/usr/local', 'the system');
  return found ? {torch: found} : {why: ''};
}

function folder(root, from) {
  const include = [join(root, 'include'), join(root, 'include', 'torch', 'csrc', 'api', 'include')];
  const lib = [join(root, 'lib'), ...multiarch(root)].find(path => existsSync(join(path, 'libtorch_cpu.so')));
  if (!lib || !existsSync(join(include[0], 'ATen', 'ATen.h'))) return undefined;
  const version = versionOf(include[1]);
  return {root, include, lib, version, from, hasCuda: existsSync(join(lib, 'libtorch_cuda.so')), cxx11Abi: abiOf(root)};
}
function multiarch(root) {
  const libs = join(root, 'lib');
  return existsSync(libs)
    ? readdirSync(libs)
        .filter(name => name.endsWith('-linux-gnu'))
        .map(name => join(libs, name))
    : [];
}
function versionOf(include) {
  // Newer versions keep the numbers in headeronly/, which torch/version.h includes.
  const headers = [
    join(include, 'torch', 'version.h'),
    join(include, '../../../..', 'torch', 'headeronly', 'version.h'),
  ];
  const text = headers
    .filter(path => existsSync(path))
    .map(path => readFileSync(path, 'utf8'))
    .join('\n');
  const [major, minor, patch] = ['MAJOR', 'MINOR', 'PATCH'].map(
    part => new RegExp(`TORCH_VERSION_${part} (\\d+)`).exec(text)?.[1],
  );
  return `${major}.${minor}.${patch}`;
}
// Which of libstdc++'s two string layouts this libtorch was built with; undefined: the compiler's own.
function abiOf(root) {
  const config = join(root, 'share', 'cmake', 'Torch', 'TorchConfig.cmake');
  return existsSync(config) ? /_GLIBCXX_USE_CXX11_ABI=(\d)/.exec(readFileSync(config, 'utf8'))?.[1] : undefined;
}
// The toolkit's headers, or those of the nvidia wheels beside the torch package, or both: a toolkit may lack NVRTC's. From CUDA 13
// on both keep nv/ in cccl/.
function findCudaInclude() {
  const roots = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter(Boolean);
  const nvidia = join(torch.root, '..', 'nvidia');
  const wheels = existsSync(nvidia) ? readdirSync(nvidia).map(name => join(nvidia, name)) : [];
  const [ofToolkit, ofWheels] = [roots, wheels].map(folders =>
    folders
      .flatMap(folder => [join(folder, 'include'), join(folder, 'include', 'cccl')])
      .filter(path => existsSync(path)),
  );
  const needed = ['cuda_runtime_api.h', 'cuda.h', 'nvrtc.h', 'cublas_v2.h', 'crt/host_config.h', 'nv/target'];
  const enough = includes => needed.every(header => includes.some(path => existsSync(join(path, header))));
  return [ofToolkit, ofWheels, [...ofToolkit, ...ofWheels]].find(enough);
}
function atLeast(version, major, minor) {
  const [a, b] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}
function hasNinja() {
  return !spawnSync('ninja', ['--version']).error;
}
function run(tool, args) {
  try {
    execFileSync(tool, args, {stdio: 'inherit'});
  } catch {
    fail(`${tool} failed; its messages are above.`);
  }
}
function fail(message) {
  console.error(message);
  process.exit(1);
}
