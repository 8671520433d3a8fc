// The recipes of the paper's models: each passes a dry run without data or weights, prints what memory it needs, and says of
// every value whose it is. All other shipped configurations are read too.
import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {loadConfig} from '../../src/config/load.ts';
import {loadPipeline} from '../../src/config/pipeline.ts';
import {planParent} from '../../trainers/parents/planned_parent.ts';
import {dryRun, plannedNetworks} from '../../trainers/reports/dry_run.ts';

const configs = path.resolve(import.meta.dirname, '../../configs');
const filesIn = (folder: string): string[] =>
  readdirSync(path.join(configs, folder)).map(name => path.join(configs, folder, name));

describe.each(['webvid-sd21', 'rds'])('%s', folder => {
  const files = filesIn(folder);

  test('has every stage of its model', () => {
    const stages = files.map(file => loadConfig(file).stage);
    const wanted = ['image', 'temporal', 'prediction', 'interpolation', 'decoder', 'upsampler'];
    expect(stages).toEqual(expect.arrayContaining(wanted));
  });

  test.each(files.map(file => [path.basename(file), file]))(
    '%s',
    async (name, file) => {
      const assume = folder === 'webvid-sd21' ? (name === 'upsampler.yaml' ? 'x4-upscaler' : 'sd2') : undefined;
      const text = await dryRun(loadConfig(file), {configs: path.join(configs, folder), data: false, assume});
      expect(text).toMatch(/on the engine, peak of a step +[\d.]+ [GM]iB/);
      const unmarked = readFileSync(file, 'utf8')
        .split('\n')
        .filter(line => /^[^#]*: *[^#\s]/.test(line) && !/ # .*\b(paper|ours|SD|SVD|LDM)\b/.test(line));
      expect(unmarked).toEqual([]);
    },
    300_000,
  );
});

test('the 656M parameters over time of the paper are in its recipe', async () => {
  const file = path.join(configs, 'webvid-sd21', 'temporal.yaml');
  const config = loadConfig(file);
  const {frozen} = await planParent(config, {configs: path.dirname(file), assume: 'sd2'});
  expect(plannedNetworks(config, frozen ?? {})[0]).toMatchObject({parameters: 1_521_987_562, trained: 656_076_838});
});

test('every shipped configuration is read', () => {
  const files = readdirSync(configs, {recursive: true, encoding: 'utf8'}).filter(name => name.endsWith('.yaml'));
  expect(files.length).toBeGreaterThan(20);
  for (const file of files) {
    // A pipeline names runs to sample from; everything else trains one.
    if (path.basename(file) === 'pipeline.yaml') expect(loadPipeline(path.join(configs, file)).keyFrames).toBeTruthy();
    else expect(loadConfig(path.join(configs, file)).run.name, file).toBeTruthy();
  }
});
