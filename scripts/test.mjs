// Runs every test and closes with what was skipped, by name, and one line of counts. Arguments go to vitest.
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-test-'));
const report = path.join(folder, 'report.json');
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
const {status} = spawnSync(
  process.execPath,
  [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)],
  {cwd: root, stdio: 'inherit'},
);

let tests = [];
let brokenFiles = 0;
try {
  const {testResults} = JSON.parse(readFileSync(report, 'utf8'));
  tests = testResults.flatMap(file =>
    file.assertionResults.map(test => ({...test, file: path.relative(root, file.name)})),
  );
  // A file that cannot be loaded has no tests to count, but it has failed.
  brokenFiles = testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0).length;
} catch {
  console.error('The test runner wrote no report.');
}
rmSync(folder, {recursive: true, force: true});

const of = (...states) => tests.filter(test => states.includes(test.status));
const skipped = of('pending', 'skipped', 'todo', 'disabled');
for (const test of skipped) console.log(`skipped: ${test.file}: ${test.fullName}`);
const failed = of('failed').length + brokenFiles;
console.log(`${of('passed').length} passed, ${failed} failed, ${skipped.length} skipped`);
process.exit(status !== 0 || failed > 0 || tests.length === 0 ? 1 : 0);
