// Builds the addon against the libtorch it finds: LIBTORCH_DIR, then the torch package of the python3 on the PATH, then
// a system libtorch (Debian's libtorch-dev). Downloads nothing. TFJS_TORCH_DEVICE=cpu leaves CUDA out. Result: build/torch-VERSION-DEVICE/tfjs_torch.node
import {execFileSync, spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {availableParallelism} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {findCudaInclude, findTorch} from './libtorch.mjs';
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
const cudaInclude = torch.hasCuda && wanted !== 'cpu' ? findCudaInclude(torch.root) : undefined;
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
