// Builds are found without being loaded, and one that was compiled from other sources is refused with a sentence.
import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, describe, expect, test, vi} from 'vitest';
import {nativeSourcesHash} from '../scripts/native_sources.mjs';
import {findBuilds} from '../src/built.ts';

const root = mkdtempSync(join(tmpdir(), 'tfjs-torch-built-'));
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, {recursive: true, force: true});
});

function sources(text: string): string {
  mkdirSync(join(root, 'native', 'ops'), {recursive: true});
  writeFileSync(join(root, 'CMakeLists.txt'), 'project(x)');
  writeFileSync(join(root, 'native', 'ops', 'a.cc'), text);
  return nativeSourcesHash(root)!;
}
function build(folder: string, about: object, at = join(root, 'build')): void {
  mkdirSync(join(at, folder), {recursive: true});
  writeFileSync(join(at, folder, 'tfjs_torch.node'), '');
  writeFileSync(join(at, folder, 'build.json'), JSON.stringify(about));
}

test('a build is stale where it was compiled from other sources, or does not say from which; it comes last', () => {
  vi.stubEnv('TFJS_TORCH_BUILD', undefined);
  const old = sources('int a;');
  const now = sources('int b;');
  expect(now).not.toBe(old);
  build('old', {version: '2.11.0', device: 'cuda', sources: old});
  build('silent', {version: '2.1.0', device: 'cpu'});
  build('now', {version: '1.13.0', device: 'cpu', sources: now});
  expect(findBuilds(root).map(({version, stale}) => [version, stale])).toEqual([
    ['1.13.0', false],
    ['2.11.0', true],
    ['2.1.0', true],
  ]);
});

describe('a stale build in the package itself', () => {
  const at = join(import.meta.dirname, '..', 'build');
  const folder = `stale-${process.pid}`;
  afterEach(() => rmSync(join(at, folder), {recursive: true, force: true}));

  test('is refused in one sentence that says what to run', () => {
    build(folder, {version: '0.0.1', device: 'cpu', sources: 'other'}, at);
    const binding = join(import.meta.dirname, '..', 'src', 'binding.ts');
    const program = `import(${JSON.stringify(binding)}).then(b => b.load()).catch(error => console.log(error.message))`;
    const {stdout} = spawnSync(process.execPath, ['--import', 'tsx', '-e', program], {
      env: {...process.env, TFJS_TORCH_BUILD: folder},
      encoding: 'utf8',
    });
    expect(stdout).toMatch(/was built from other sources: run "npm run build:torch"/);
  });
});
