// Compiles the package's binding against the libtensorflow in its deps/, with g++ alone: the binding is two files on
// Node-API, whose headers come from the npm package node-api-headers, so that nothing is downloaded from Node's site.
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {findLibraries} from './libtensorflow.mjs';
import {run, SetupError} from './run.mjs';

// The highest version that the package's own lookup of the binding knows (binary.napi_versions in its package.json).
const napiVersion = 8;

// The package numbers its tensors with 32 bits and never reuses a number: after 2^31 of them, some 130,000 training steps,
// numbers are negative, the JavaScript side does not free such tensors, and memory fills up. Numbers in use are few.
const numbering = {
  before: `  return tfe_handle_map_.insert(std::make_pair(next_tensor_id_++, tfe_handle))
      .first->first;`,
  after: `  while (tfe_handle_map_.count(next_tensor_id_) != 0)
    next_tensor_id_ = next_tensor_id_ == INT32_MAX ? 0 : next_tensor_id_ + 1;
  const int32_t id = next_tensor_id_;
  next_tensor_id_ = id == INT32_MAX ? 0 : id + 1;
  tfe_handle_map_.emplace(id, tfe_handle);
  return id;`,
};

/**
 * Builds lib/napi-v8/tfjs_binding.node, where the package looks for it. Resolves to whether tensor numbers are reused.
 * @param {string} packageFolder
 * @param {NodeRequire} require resolves node-api-headers
 */
export async function compileBinding(packageFolder, require) {
  const lib = path.join(packageFolder, 'deps', 'lib');
  const pair = findLibraries(lib);
  if (pair === undefined) throw new SetupError(`No libtensorflow in ${lib}.`);
  const out = path.join(packageFolder, 'lib', `napi-v${napiVersion}`);
  mkdirSync(out, {recursive: true});
  const binding = path.join(packageFolder, 'binding');
  const source = readFileSync(path.join(binding, 'tfjs_backend.cc'), 'utf8');
  const reusesNumbers = source.includes(numbering.before);
  // Beside the original, so that its own headers are found.
  const mended = path.join(binding, 'tfjs_backend_mended.cc');
  writeFileSync(mended, source.replace(numbering.before, numbering.after));
  const compiler = process.env.CXX ?? 'g++';
  console.log(`Compiling the binding with ${compiler} ...`);
  await run(
    compiler,
    [
      ...['-shared', '-fPIC', '-std=c++17', '-O2', `-DNAPI_VERSION=${napiVersion}`],
      ...[`-I${nodeHeaders(require)}`, `-I${path.join(packageFolder, 'deps', 'include')}`],
      ...[mended, path.join(binding, 'tfjs_binding.cc')],
      ...['-o', path.join(out, 'tfjs_binding.node')],
      ...[`-L${lib}`, `-l:${pair.main}`, `-l:${pair.framework}`, `-Wl,-rpath-link,${lib}`],
      // The library is found beside the binding, wherever the package is moved.
      '-Wl,-rpath,$ORIGIN/../../deps/lib',
    ],
    {because: 'compiling the binding', missing: 'install a C++17 compiler (Debian: g++) or set CXX'},
  );
  return reusesNumbers;
}

/** The folder with node_api.h. */
function nodeHeaders(require) {
  try {
    return require('node-api-headers').include_dir;
  } catch {
    const own = path.join(path.dirname(path.dirname(process.execPath)), 'include', 'node');
    if (existsSync(path.join(own, 'node_api.h'))) return own;
    throw new SetupError('node_api.h is not there: run "npm ci" in the repository, which brings node-api-headers.');
  }
}
