// Where libtorch and the headers of CUDA are.
import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

/** {torch}: the libtorch that is used, or {why}: a sentence about the one that was asked for. */
export function findTorch() {
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
/**
 * The toolkit's headers, or those of the nvidia wheels beside the torch package, or both: a toolkit may lack NVRTC's. From CUDA 13
 * on both keep nv/ in cccl/.
 */
export function findCudaInclude(torchRoot, more = []) {
  const roots = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter(Boolean);
  const nvidia = join(torchRoot, '..', 'nvidia');
  const wheels = existsSync(nvidia) ? readdirSync(nvidia).map(name => join(nvidia, name)) : [];
  const [ofToolkit, ofWheels] = [roots, wheels].map(folders =>
    folders
      .flatMap(folder => [join(folder, 'include'), join(folder, 'include', 'cccl')])
      .filter(path => existsSync(path)),
  );
  const needed = ['cuda_runtime_api.h', 'cuda.h', 'nvrtc.h', 'cublas_v2.h', 'crt/host_config.h', 'nv/target', ...more];
  const enough = includes => needed.every(header => includes.some(path => existsSync(join(path, header))));
  return [ofToolkit, ofWheels, [...ofToolkit, ...ofWheels]].find(enough);
}
