// Brings a fresh clone to a state in which everything runs: the packages of the lock file, then the build.
// Plain JavaScript on Node alone: it runs before anything is installed.
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`video-ldm needs Node 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

// npm writes node_modules/.package-lock.json last: if it is older than the lock file, packages are missing or outdated.
const installed = path.join(root, 'node_modules', '.package-lock.json');
const wanted = path.join(root, 'package-lock.json');
if (!existsSync(installed) || !samePackages()) {
  console.log('Installing the packages of package-lock.json (npm ci) ...');
  run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}
run(process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);

/** Whether every package of the lock file that belongs on this platform is there in its version. */
function samePackages() {
  if (statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return true;
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  const want = JSON.parse(readFileSync(wanted, 'utf8')).packages;
  return Object.entries(want).every(
    ([where, entry]) => where === '' || entry.optional || entry.peer || have[where]?.version === entry.version,
  );
}

function run(command, args) {
  const {status, error} = spawnSync(command, args, {cwd: root, stdio: 'inherit'});
  if (error) console.error(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
