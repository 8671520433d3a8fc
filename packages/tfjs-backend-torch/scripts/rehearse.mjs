// Runs a program on a stand-in for a GPU, which takes CUDA's calls and computes nothing:
//   node scripts/rehearse.mjs [--python PATH] [--trace FILE] [--zeros] [--verbose] -- PROGRAM ARGUMENTS
//   node scripts/rehearse.mjs --summary FILE
// --python: the python3 of an environment with PyTorch for CUDA; the one on the PATH where absent. --trace: writes what was called,
// and prints its summary at the end ("%p" in the name becomes the process id). --zeros: what is read from the device is 0.
// --verbose: errors and violations with a backtrace.
import {execFileSync, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {findCudaInclude, findTorch} from './libtorch.mjs';
import {summarizeTrace} from './rehearsal_trace.mjs';

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..');
const sourceRoot = join(packageRoot, 'rehearsal');

const {values, positionals: program} = parseArgs({
  options: {
    python: {type: 'string'},
    trace: {type: 'string'},
    zeros: {type: 'boolean'},
    verbose: {type: 'boolean'},
    summary: {type: 'string'},
  },
  allowPositionals: true,
});
if (values.summary) {
  console.log(summarizeTrace(readFileSync(values.summary, 'utf8')));
} else {
  if (!program.length) fail('No program was given: node rehearse.mjs [--trace FILE] -- PROGRAM ARGUMENTS.');
  process.exitCode = run();
}

function run() {
  if (values.python) process.env.PATH = dirname(values.python) + delimiter + process.env.PATH;
  const library = build();
  if (values.trace) rmSync(values.trace, {force: true}); // a program without CUDA writes none
  const {status, signal, error} = spawnSync(program[0], program.slice(1), {
    stdio: 'inherit',
    env: {
      ...process.env,
      LD_PRELOAD: [library, process.env.LD_PRELOAD].filter(Boolean).join(':'),
      ...(values.trace ? {REHEARSAL_TRACE: values.trace} : {}),
      ...(values.zeros ? {REHEARSAL_ZEROS: '1'} : {}),
      ...(values.verbose ? {REHEARSAL_VERBOSE: '1'} : {}),
    },
  });
  if (error) fail(`${program[0]} does not start: ${error.message}.`);
  if (signal) console.error(`${program[0]} ended by ${signal}.`);
  if (values.trace && existsSync(values.trace)) console.log(summarizeTrace(readFileSync(values.trace, 'utf8')));
  return status ?? 1;
}

/** The stand-in's library for the libtorch at hand, compiled where it is not there yet. */
function build() {
  const {torch} = findTorch();
  if (!torch?.hasCuda) fail('There is no PyTorch for CUDA: put its python3 on the PATH, or name it with --python.');
  const include = findCudaInclude(torch.root, ['cudnn.h', 'cublasLt.h', 'cufftXt.h']);
  if (!include)
    fail(`The headers of CUDA, cuFFT and cuDNN were not found beside ${torch.root}; see README.md, "Install".`);
  const sources = readdirSync(sourceRoot).filter(name => /\.(cc|h)$/.test(name));
  const hash = createHash('sha256').update(torch.lib);
  for (const name of [...sources, '../scripts/rehearse.mjs'])
    hash.update(`${name}\0`).update(readFileSync(join(sourceRoot, name)));
  const digest = hash.digest('hex');

  const out = join(packageRoot, 'build', `rehearsal-${torch.version}`);
  // The driver's own name: whoever asks for that library gets this one.
  const library = join(out, 'libcuda.so.1');
  const about = join(out, 'sources');
  if (existsSync(library) && existsSync(about) && readFileSync(about, 'utf8') === digest) return library;
  console.error(`Building ${library} ...`);
  mkdirSync(out, {recursive: true});
  writeFileSync(join(out, 'symbols.inc'), stubsFor(torch.lib));
  const objects = sources
    .filter(name => name.endsWith('.cc'))
    .map(name => {
      const object = join(out, name.replace(/cc$/, 'o'));
      const flags = ['-std=c++17', '-O1', '-g', '-fPIC', '-Wall', '-Wno-deprecated-declarations', '-I', out];
      compile([...flags, ...include.flatMap(path => ['-isystem', path]), '-c', join(sourceRoot, name), '-o', object]);
      return object;
    });
  compile(['-shared', '-Wl,-soname,libcuda.so.1', '-o', library, ...objects, '-ldl', '-lpthread']);
  writeFileSync(about, digest);
  return library;
}

function compile(args) {
  const {status, error} = spawnSync('c++', args, {stdio: 'inherit'});
  if (error || status !== 0)
    fail(error ? 'c++ is not on the PATH; install it (Debian: apt-get install g++).' : 'c++ failed.');
}

/** A line for each function of CUDA, cuBLAS, cuDNN and NCCL that this libtorch calls; it needs nm, of binutils. */
function stubsFor(lib) {
  const libraries = readdirSync(lib).filter(name =>
    /^lib(torch_cuda.*|c10_cuda|caffe2_nvrtc|torch_python)\.so$/.test(name),
  );
  const names = libraries.flatMap(name =>
    execFileSync('nm', ['-D', '--undefined-only', join(lib, name)], {encoding: 'utf8', maxBuffer: 1 << 26})
      .split('\n')
      .map(line => /\bU (\w+)/.exec(line)?.[1])
      .filter(Boolean),
  );
  // These answer without a device.
  const real = new Set(['cudnnGetVersion', 'cudnnGetCudartVersion', 'cudnnGetErrorString', 'cublasLtGetVersion']);
  return [...new Set(names)]
    .filter(
      name =>
        /^(cuda|cublas|cudnn|nccl)[A-Z]|^cublasLt|^cu[A-Z]/.test(name) && !/^cuFile/.test(name) && !real.has(name),
    )
    .sort()
    .map(name => {
      if (/^nccl(Group|Comm|Red)/.test(name)) return `CALL(${name})`;
      if (!/^(cublas|cudnn)/.test(name)) return `MISSING(${name})`;
      return /Create|Destroy|Attribute|Descriptor|Get|Set|Find|Restore|Finalize/.test(name)
        ? `CALL(${name})`
        : `KERNEL(${name})`;
    })
    .join('\n')
    .concat('\n');
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
