// The commands golden, export and inspect on files of the repository and a micro run.
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {parseSafetensors} from '../../src/weights/safetensors.ts';
import {checkedOpset, checkFolder} from '../export/checker.ts';
import {command, type MicroData, microConfig, microData, repository, writeConfig} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const golden = path.join(repository, 'test/golden/open-block-resnet.safetensors');
let hasRuntime = true;
try {
  createRequire(import.meta.url).resolve('onnxruntime-node');
} catch {
  hasRuntime = false;
}
let data: MicroData;
let root = '';

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  for (const stage of ['autoencoder', 'image', 'temporal'] as const) {
    expect(command('train', writeConfig(data.folder, stage, microConfig(stage, data, {root, steps: 2}))).status).toBe(
      0,
    );
  }
}, 3 * MINUTES);
afterAll(() => data?.remove());

describe('golden', () => {
  test('prints the error and writes what was computed', () => {
    const out = path.join(data.folder, 'golden');
    const {status, stdout} = command('golden', golden, '--engine', 'wasm', '--out', out);
    expect(status).toBe(0);
    const error = Number(/open-block-resnet\.safetensors y: relative L2 error ([\d.e+-]+)/.exec(stdout)?.[1]);
    expect(error).toBeLessThan(1e-5);
    const {tensors} = parseSafetensors(readFileSync(path.join(out, path.basename(golden))), 'computed');
    expect([...tensors.keys()]).toContain('io.y');
  });

  test('an altered file is above the limit: exit code 1', () => {
    const bytes = readFileSync(golden);
    bytes.fill(0x3c, bytes.length - 4000);
    const altered = path.join(data.folder, 'open-block-resnet.safetensors');
    writeFileSync(altered, bytes);
    const {status, stderr} = command('golden', altered, '--engine', 'wasm');
    expect(status).toBe(1);
    expect(stderr).toMatch(/open-block-resnet\.safetensors y: the error is above 0\.0001/);
  });

  test('a file of no known case', () => {
    const other = path.join(data.folder, 'other.safetensors');
    writeFileSync(other, readFileSync(golden));
    expect(command('golden', other, '--engine', 'cpu').stderr).toMatch(/names none of the known cases/);
  });
});

describe.skipIf(!hasRuntime)('export (needs onnxruntime-node)', () => {
  test(
    'a pipeline is written and proved equal',
    () => {
      const out = path.join(data.folder, 'onnx');
      const {status, stdout} = command(
        'export',
        path.join(root, 'temporal'),
        '--component',
        'pipeline',
        '--out',
        out,
        '--engine',
        'wasm',
      );
      expect(status).toBe(0);
      const errors = [...stdout.matchAll(/relative error: \w+ ([\d.e+-]+)/g)].map(match => Number(match[1]));
      expect(errors).toHaveLength(6); // UNet and decoder, three runs each
      for (const error of errors) expect(error).toBeLessThan(1e-4);
      const {latents, steps} = JSON.parse(readFileSync(path.join(out, 'pipeline.json'), 'utf8')) as {
        latents: number[];
        steps: unknown[];
      };
      expect(latents).toEqual([4, 8, 8, 4]);
      expect(steps).toHaveLength(25);
    },
    MINUTES,
  );

  test.each([
    ['decoder', ['decoder'], 'decoder'],
    ['prediction', ['prediction'], 'unet'],
    ['interpolation', ['prediction', 'interpolation'], 'unet'],
    ['upsampler', ['upsampler-image', 'upsampler'], 'upsampler'],
  ] as const)(
    'what stage %s trained is proved equal',
    (stage, stages, component) => {
      for (const each of stages) {
        if (existsSync(path.join(root, each))) continue;
        const config = writeConfig(data.folder, each, microConfig(each, data, {root, steps: 2}));
        const {status, stderr} = command('train', config);
        expect(status, stderr).toBe(0);
      }
      const out = path.join(data.folder, `${stage}.onnx`);
      const given = ['--component', component, '--out', out, '--engine', 'wasm'];
      const {status, stdout, stderr} = command('export', path.join(root, stage), ...given);
      expect(status, stderr).toBe(0);
      const errors = [...stdout.matchAll(/relative error: \w+ ([\d.e+-]+)/g)].map(match => Number(match[1]));
      expect(errors).toHaveLength(3);
      for (const error of errors) expect(error).toBeLessThan(1e-4);
      expect(stdout).not.toContain('onnxruntime says');
    },
    3 * MINUTES,
  );

  test(
    'a pipeline may have its decoder from a run of stage decoder',
    () => {
      const out = path.join(data.folder, 'onnx-decoder');
      const given = ['--component', 'pipeline', '--decoder', path.join(root, 'decoder'), '--out', out];
      const {status, stderr} = command('export', path.join(root, 'temporal'), ...given, '--engine', 'wasm');
      expect(status, stderr).toBe(0);
      const description = JSON.parse(readFileSync(path.join(out, 'pipeline.json'), 'utf8')) as object;
      expect(description).toMatchObject({decoderTakesClips: true, latents: [4, 8, 8, 4]});
    },
    MINUTES,
  );

  test.skipIf(checkedOpset === undefined)('the checker of python3-onnx accepts what the stages exported', () => {
    const {count, problems} = checkFolder(data.folder);
    expect(problems).toEqual([]);
    expect(count).toBeGreaterThanOrEqual(7);
  });

  test('an autoencoder has no UNet', () => {
    const out = path.join(data.folder, 'none.onnx');
    const {status, stderr} = command('export', path.join(root, 'autoencoder'), '--component', 'unet', '--out', out);
    expect(status).toBe(1);
    expect(stderr).toMatch(/is of stage "autoencoder" and has no unet: export encoder, decoder/);
    expect(existsSync(out)).toBe(false);
  });
});

describe('inspect', () => {
  test('a run, a checkpoint and shards', () => {
    const run = command('inspect', path.join(root, 'temporal'));
    expect(run.stdout).toMatch(/\* step-000000002: whole/);
    const checkpoint = command('inspect', path.join(root, 'temporal', 'checkpoints', 'step-000000002'));
    expect(checkpoint.stdout).toMatch(
      /stage temporal, step 2\nfrom \S+ \(image, step 2\), from \S+ \(autoencoder, step 2\)\n\d+ weights, [\d,]+ parameters; EMA: yes/,
    );
    const shards = JSON.parse(command('inspect', data.train).stdout) as {
      samples: number;
      sizes: Record<string, number>;
    };
    expect(shards).toMatchObject({samples: 6, sizes: {'16x16': 6}});
  });

  test('sampling twice with one seed gives the same bytes', () => {
    const sample = (out: string) => {
      const folder = path.join(data.folder, out);
      const {status} = command(
        'sample',
        path.join(root, 'temporal'),
        '--count',
        '1',
        '--steps',
        '2',
        '--seed',
        '9',
        '--engine',
        'wasm',
        '--out',
        folder,
      );
      expect(status).toBe(0);
      return readFileSync(path.join(folder, 'contact-sheet.png'));
    };
    expect(sample('first').equals(sample('second'))).toBe(true);
  });
});
