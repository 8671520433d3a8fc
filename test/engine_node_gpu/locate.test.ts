// Finding the package and saying in one sentence why it cannot be used: without the package itself.
import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {folderVariable, locateNodeGpu, openNodeGpu} from '../../src/engine/node_gpu/index.ts';
import {UserError} from '../../src/platform/user_error.ts';

const setup = fileURLToPath(new URL('../../scripts/node_gpu/setup.mjs', import.meta.url));
let folder: string;
let before: string | undefined;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'node-gpu-'));
  before = process.env[folderVariable];
});

afterEach(() => {
  rmSync(folder, {recursive: true, force: true});
  if (before === undefined) delete process.env[folderVariable];
  else process.env[folderVariable] = before;
});

function packageIn(at: string, binding: boolean): void {
  mkdirSync(path.join(at, 'lib', 'napi-v8'), {recursive: true});
  writeFileSync(path.join(at, 'package.json'), '{"name": "@tensorflow/tfjs-node-gpu", "main": "index.js"}');
  writeFileSync(
    path.join(at, 'index.js'),
    'throw new Error("libtensorflow.so.2: cannot open shared object file\\nmore");',
  );
  if (binding) writeFileSync(path.join(at, 'lib', 'napi-v8', 'tfjs_binding.node'), '');
}

describe('where the package is', () => {
  test('the named folder comes first', () => {
    packageIn(folder, true);
    expect(locateNodeGpu({[folderVariable]: folder})).toEqual({folder});
  });

  test('a package whose binding was never compiled is named with what to run', () => {
    packageIn(folder, false);
    const located = locateNodeGpu({[folderVariable]: folder});
    expect(located).toHaveProperty('why');
    expect((located as {why: string}).why).toContain(`setup.mjs --package ${folder}`);
  });

  test('a folder that holds no package is named', () => {
    expect(locateNodeGpu({[folderVariable]: folder})).toEqual({why: `${folder} is not the folder of a package`});
  });
});

describe('opening what cannot be opened', () => {
  test('is an error for the user, naming the folder', async () => {
    process.env[folderVariable] = folder;
    await expect(openNodeGpu()).rejects.toThrow(UserError);
    await expect(openNodeGpu()).rejects.toThrow(folder);
  });

  test('a package without TensorFlow.js beside it says so', async () => {
    packageIn(folder, true);
    process.env[folderVariable] = folder;
    await expect(openNodeGpu()).rejects.toThrow(/lacks a package it needs/);
  });

  test("another copy of TensorFlow.js than video-ldm's is refused", async () => {
    packageIn(folder, true);
    for (const name of ['tfjs', 'tfjs-core']) {
      const at = path.join(folder, 'node_modules', '@tensorflow', name);
      mkdirSync(at, {recursive: true});
      writeFileSync(path.join(at, 'index.js'), '');
    }
    process.env[folderVariable] = folder;
    await expect(openNodeGpu()).rejects.toThrow(/uses another copy of TensorFlow\.js/);
  });
});

describe.skipIf(process.platform !== 'linux')('setup.mjs (Linux only)', () => {
  const mistakes: [string, string[], RegExp][] = [
    ['no source', [], /^Say where libtensorflow comes from/],
    ['two sources', ['--wheel', '--libtensorflow', '/x'], /^Say where libtensorflow comes from/],
    ['a wheel that is no requirement', ['--wheel', 'a;b'], /^--wheel expects NAME/],
    ['an unknown option', ['--weel'], /^Unknown option '--weel'/],
    ['a package folder that is none', ['--wheel', '--package', '/nowhere'], /^\/nowhere is no @tensorflow/],
  ];
  test.each(mistakes)('%s: one sentence and exit code 1', (_, args, sentence) => {
    const {status, stderr} = spawnSync(process.execPath, [setup, ...args], {encoding: 'utf8'});
    expect(status).toBe(1);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('a folder without libtensorflow is named', () => {
    packageIn(folder, false);
    mkdirSync(path.join(folder, 'binding'));
    writeFileSync(path.join(folder, 'binding', 'tfjs_binding.cc'), '');
    const args = [setup, '--package', folder, '--libtensorflow', path.join(folder, 'lib')];
    const {status, stderr} = spawnSync(process.execPath, args, {encoding: 'utf8'});
    expect(status).toBe(1);
    expect(stderr).toMatch(/lib holds no libtensorflow: expected libtensorflow\.so\.2/);
  });
});
