// TensorFlow.js's own specs against this backend: none fails, few are excluded, and no exclusion is stale.
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {describe, expect, test} from 'vitest';
import {isBuilt} from '../src/built.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

describe.skipIf(!isBuilt())('conformance (needs the addon: npm run build:torch)', () => {
  test('the specs of tfjs-core pass', {timeout: 300_000}, () => {
    const output = execFileSync(
      process.execPath,
      [
        '--import',
        'tsx',
        here('conformance/run.mjs'),
        '--backend',
        here('../src/index.ts'),
        '--name',
        'torch',
        '--exclude',
        here('conformance/exclusions.json'),
      ],
      {
        encoding: 'utf8',
        env: {...process.env, TFJS_TORCH_CHECK: '1'},
        stdio: ['ignore', 'pipe', 'inherit'],
        maxBuffer: 1 << 26,
      },
    );
    const totals = JSON.parse(/torch: (\{.*\})/.exec(output)![1]!) as Record<string, number>;
    expect(totals.failed).toBe(0);
    expect(totals.onBackend).toBeGreaterThan(3800);
    const exclusions = JSON.parse(readFileSync(here('conformance/exclusions.json'), 'utf8')) as {why: string}[];
    expect(exclusions.every(({why}) => why.length > 0)).toBe(true);
    expect(totals.excluded).toBeLessThan(0.02 * totals.onBackend!);
  });
});
