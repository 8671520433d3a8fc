// What users get: the packed packages, installed together in an empty project with npm's default settings, run no download
// script, answer `doctor`, and build and train a video UNet through declared exports under strict TypeScript.
import {execFileSync} from 'node:child_process';
import {copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const workspaces = ['.', 'packages/webdataset-ts', 'packages/tfjs-backend-torch'];
const MINUTES = 60_000;

describe('packed and installed in an empty project', () => {
  let project = '';

  beforeAll(() => {
    project = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-user-'));
    const tarballs = path.join(project, 'tarballs');
    mkdirSync(tarballs);
    for (const workspace of workspaces) {
      execFileSync('npm', ['pack', '--silent', '--pack-destination', tarballs], {cwd: path.join(root, workspace)});
    }
    const files = readdirSync(tarballs).map(file => `./tarballs/${file}`);
    expect(files).toHaveLength(workspaces.length);
    writeFileSync(path.join(project, 'package.json'), '{"name": "user", "private": true, "type": "module"}');
    // No .npmrc of this repository applies there: scripts of dependencies would run.
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...files], {
      cwd: project,
      stdio: 'pipe',
    });
  }, 10 * MINUTES);
  afterAll(() => rmSync(project, {recursive: true, force: true}));

  test('no installed package has an install script', () => {
    const lock = JSON.parse(readFileSync(path.join(project, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, {hasInstallScript?: boolean}>;
    };
    expect(Object.keys(lock.packages).length).toBeGreaterThan(10);
    const withScripts = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript);
    expect(withScripts.map(([name]) => name)).toEqual([]);
  });

  test(
    'doctor runs and finds an engine',
    () => {
      const {engines, auto} = JSON.parse(
        execFileSync('npx', ['video-ldm', 'doctor', '--json'], {cwd: project, encoding: 'utf8'}),
      ) as {engines: {engine: string; available: boolean}[]; auto: string};
      expect(engines.find(row => row.engine === 'wasm')?.available).toBe(true);
      expect(engines.map(row => row.engine)).toContain(auto);
    },
    MINUTES,
  );

  test(
    'a strict program of at most 30 lines builds a video UNet and trains one step',
    () => {
      const program = path.join(root, 'examples/train_one_step.ts');
      expect(readFileSync(program, 'utf8').trim().split('\n').length).toBeLessThanOrEqual(30);
      copyFileSync(program, path.join(project, 'program.ts'));
      const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
      const strict = [
        '--strict',
        '--module',
        'nodenext',
        '--target',
        'es2022',
        '--lib',
        'es2023,dom',
        '--skipLibCheck',
      ];
      execFileSync(process.execPath, [compiler, ...strict, 'program.ts'], {cwd: project, stdio: 'pipe'});
      const output = execFileSync(process.execPath, ['program.js'], {cwd: project, encoding: 'utf8'});
      const [before, after] = [...output.matchAll(/loss ([\d.]+)/g)].map(match => Number(match[1]));
      expect(before).toBeGreaterThan(0);
      expect(after).toBeLessThan(before!);
    },
    3 * MINUTES,
  );
});
