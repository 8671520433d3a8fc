// The command line answers at once: --help loads no TensorFlow.js.
import {execFileSync, spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {expect, test} from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const main = path.join(root, 'dist/src/cli/main.js');

test('--help names every command and takes under 0.3 s', () => {
  const seconds: number[] = [];
  let help = '';
  for (let i = 0; i < 10; i++) {
    const start = performance.now();
    help = execFileSync(process.execPath, [main, '--help'], {encoding: 'utf8'});
    seconds.push((performance.now() - start) / 1000);
  }
  for (const command of ['shard', 'train', 'sample', 'inspect', 'doctor']) expect(help).toContain(command);
  console.log(`--help: ${Math.min(...seconds).toFixed(3)} s (best of 10)`);
  expect(Math.min(...seconds)).toBeLessThan(0.3);
});

test.each([
  ['built', [main]],
  ['from source', ['--import', 'tsx', path.join(root, 'src/cli/main.ts')]],
])("doctor %s says the package's version", (_, command) => {
  const {version} = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {version: string};
  const {status, stdout, stderr} = spawnSync(process.execPath, [...command, 'doctor', '--json'], {
    encoding: 'utf8',
    cwd: root,
  });
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({version});
});

test.each([
  [['trian', 'x.yaml'], /Did you mean train\?/],
  [[], /Name a command/],
  [['train', 'x.yaml', '--stes', '3'], /Unknown argument: stes/],
])('%j is one sentence and exit code 1', (args, expected) => {
  const {status, stderr} = spawnSync(process.execPath, [main, ...args], {encoding: 'utf8'});
  expect(status).toBe(1);
  expect(stderr).toMatch(expected);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).not.toContain('    at ');
});
