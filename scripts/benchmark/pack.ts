// For a GPU machine without npm and without network: one archive with this repository's files, the packages they need and this Node.
//   node --import tsx scripts/benchmark/pack.ts [video-ldm-gpu.tar.xz]     (50 MB; .tar.gz is larger and faster)
// There: tar xf video-ldm-gpu.tar.xz && cd video-ldm && ./node --import tsx scripts/benchmark/gpu.ts
import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';

const root = path.join(import.meta.dirname, '../..');
const {positionals} = parseArgs({allowPositionals: true});
const archive = path.resolve(positionals[0] ?? 'video-ldm-gpu.tar.xz');

interface Manifest {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}
const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8')) as Manifest;

/** Where Node finds a package from a folder: the nearest node_modules that holds it. All paths are relative to the root. */
function find(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const place = path.join(folder, 'node_modules', name);
    if (existsSync(path.join(root, place, 'package.json'))) return place;
    if (folder === '.') return undefined;
  }
}

/** The folders of packages and of all that they depend on, as far as it is installed. */
function closure(names: readonly string[], from: string, found = new Set<string>()): Set<string> {
  for (const name of names) {
    const place = find(name, from);
    if (!place || found.has(place)) continue;
    found.add(place);
    const {dependencies, optionalDependencies, peerDependencies} = manifestOf(place);
    const wanted = Object.keys({...dependencies, ...optionalDependencies});
    // Peers that are not there by other ways are peers that nobody asked for.
    const peers = Object.keys(peerDependencies ?? {}).filter(peer => peer.startsWith('@tensorflow/tfjs-core'));
    // A workspace is a link into packages/, whose own files are tracked.
    closure([...wanted, ...peers], path.relative(realpathSync(root), realpathSync(path.join(root, place))), found);
  }
  return found;
}

// Workspaces are imported, and worker threads started, as they are built.
execFileSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-b'], {
  cwd: root,
  stdio: 'inherit',
});
const built = ['dist', 'packages/tfjs-backend-torch/dist', 'packages/webdataset-ts/dist'];
const packages = closure([...Object.keys(manifestOf('.').dependencies ?? {}), 'tsx', 'vitest', 'jasmine'], '.');
const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 1 << 26,
})
  .split('\0')
  .filter(name => name && existsSync(path.join(root, name)) && !/^(docs\/images|test\/golden)\//.test(name));

const scratch = mkdtempSync(path.join(tmpdir(), 'video-ldm-pack-'));
try {
  const list = path.join(scratch, 'list');
  writeFileSync(list, [...tracked, ...built, ...packages].join('\0'));
  execFileSync(
    'tar',
    [
      ...['--create', '--auto-compress', '--file', archive, '--transform', 's,^,video-ldm/,S'],
      // Source maps and types run nothing; a build is of the machine it was made on.
      ...[
        '--exclude=node_modules/*.map',
        '--exclude=*.d.ts',
        '--exclude=*.d.mts',
        '--exclude=*.d.cts',
        '--exclude=*.min.js',
        '--exclude=*.fesm.js',
        '--exclude=*.es2017.js',
      ],
      ...['--directory', root, '--null', '--files-from', list],
      ...['--directory', path.dirname(process.execPath), path.basename(process.execPath)],
    ],
    {stdio: 'inherit', env: {...process.env, XZ_OPT: '-T0'}},
  );
} finally {
  rmSync(scratch, {recursive: true, force: true});
}
const size = (statSync(archive).size / 2 ** 20).toFixed(1);
console.log(`${archive}: ${size} MiB, ${tracked.length} files and ${packages.size} packages`);
