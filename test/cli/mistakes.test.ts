// A new user's mistakes: one clear sentence, no stack trace, exit code 1, and nothing lost.
import {spawnSync} from 'node:child_process';
import {chmodSync, cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {openShardWriter} from 'webdataset-ts';
import {
  clips,
  command,
  commandLine,
  type Ended,
  finalBytes,
  type MicroData,
  microConfig,
  microData,
  repository,
  writeConfig,
} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
let data: MicroData;
let root = '';
let good = '';

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  good = writeConfig(data.folder, 'good', microConfig('autoencoder', data, {root, steps: 2}));
  expect(command('train', good).status).toBe(0);
}, 3 * MINUTES);
afterAll(() => data?.remove());

/** One sentence on stderr, exit code 1, no stack. */
function expectRefusal({status, stderr, stdout}: Ended, pattern: RegExp): void {
  expect(stderr).toMatch(pattern);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).not.toMatch(/\n\s+at |unexpected failure/);
  expect(stdout).not.toMatch(/\n\s+at /);
  expect(status).toBe(1);
}

/** The autoencoder's configuration with other training shards. */
function withShard(name: string, shard: string): string {
  return writeConfig(
    data.folder,
    name,
    microConfig('autoencoder', {...data, train: shard}, {root: path.join(data.folder, name)}),
  );
}

async function writeShard(name: string, samples: Record<string, Uint8Array | string>[]): Promise<string> {
  const writer = openShardWriter({path: path.join(data.folder, `${name}-%06d.tar`)});
  for (const [i, members] of samples.entries()) {
    const bytes = Object.fromEntries(
      Object.entries(members).map(([extension, value]) => [
        extension,
        typeof value === 'string' ? Buffer.from(value) : value,
      ]),
    );
    await writer.write({key: `sample${i}`, members: bytes});
  }
  await writer.close();
  return path.join(data.folder, `${name}-000000.tar`);
}

describe('configuration', () => {
  test('a mistyped key names the nearest valid one and its line', () => {
    const file = path.join(data.folder, 'mistyped.yaml');
    writeFileSync(file, readFileSync(good, 'utf8').replace('learningRate:', 'learningrate:'));
    const line =
      readFileSync(file, 'utf8')
        .split('\n')
        .findIndex(text => text.includes('learningrate')) + 1;
    const {status, stderr} = command('train', file);
    expect(status).toBe(1);
    expect(stderr).toContain(
      `mistyped.yaml:${line}: unknown key "optimizer.learningrate": did you mean "learningRate"?`,
    );
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('several ranks where there can be none', () => {
    expectRefusal(command('train', good, '--ranks', '0'), /--ranks must be a whole number from 1 to 64, it is 0\./);
    expectRefusal(command('train', good, '--ranks', '2.5'), /--ranks must be a whole number/);
    expectRefusal(
      command('train', good, '--ranks', '2', '--set', 'train.steps=4'),
      /Rank \d of 2: The wasm engine trains in one process/,
    );
  });

  test('a configuration that is not there', () => {
    expectRefusal(command('train', path.join(data.folder, 'none.yaml')), /none\.yaml cannot be read \(ENOENT\)/);
  });

  test('resuming with another model names the field', () => {
    const before = finalBytes(path.join(root, 'autoencoder'));
    expectRefusal(
      command('train', good, '--set', 'autoencoder.channels=[8,16]', '--set', 'train.steps=4'),
      /autoencoder\.channels: \[8,8\] -> \[8,16\]/,
    );
    expect(finalBytes(path.join(root, 'autoencoder'))).toEqual(before);
  });

  test('a parent that is not there, and a parent of another stage', () => {
    const orphan = writeConfig(
      data.folder,
      'orphan',
      microConfig('image', data, {root, parents: path.join(data.folder, 'nowhere')}),
    );
    expectRefusal(command('train', orphan), /There is no run at .*nowhere/);
    const wrong = writeConfig(data.folder, 'wrong', {
      ...microConfig('temporal', data, {root, name: 'wrong'}),
      from: path.join(root, 'autoencoder'),
    });
    expectRefusal(
      command('train', wrong),
      /starts from a run of stage "image" or "temporal", but .* is of stage "autoencoder"/,
    );
  });

  test('an engine that is not there says why and what to do', context => {
    const {engines} = JSON.parse(command('doctor', '--json').stdout) as {
      engines: {engine: string; available: boolean}[];
    };
    const absent = engines.find(row => !row.available)?.engine;
    if (!absent) return context.skip('every engine is set up on this machine');
    expectRefusal(command('train', good, '--engine', absent, '--set', 'run.name=elsewhere'), /not|install|run/);
  });
});

describe('data', () => {
  test('a missing shard', () => {
    expectRefusal(
      command('train', withShard('missing', path.join(data.folder, 'no-{000000..000001}.tar'))),
      /no-00000[01]\.tar/,
    );
  });

  test('a truncated tar', () => {
    const shard = path.join(data.folder, 'truncated.tar');
    cpSync(data.train, shard);
    truncateSync(shard, 7000);
    expectRefusal(command('train', withShard('truncated', shard)), /truncated\.tar/);
  });

  test('a half-written mp4', async () => {
    const whole = readFileSync(path.join(clips, 'cap13_edit2.mp4'));
    const shard = await writeShard('half', [{mp4: whole.subarray(0, whole.length / 2)}]);
    expectRefusal(command('train', withShard('half', shard)), /sample0.*half-000000\.tar/);
  });

  test('a caption without its video', async () => {
    const shard = await writeShard('caption', [{txt: 'a person talks'}]);
    expectRefusal(command('train', withShard('caption', shard)), /sample0.*caption-000000\.tar/);
  });

  test(
    'with onBadSample "skip" the run goes on and lists the sample',
    async () => {
      const whole = readFileSync(path.join(clips, 'cap13_edit2.mp4'));
      const shard = await writeShard('mixed', [{mp4: whole}, {txt: 'a person talks'}]);
      const {status} = command(
        'train',
        withShard('mixed', shard),
        '--set',
        'data.onBadSample=skip',
        '--set',
        'train.steps=2',
      );
      expect(status).toBe(0);
      const listed = readFileSync(path.join(data.folder, 'mixed', 'autoencoder', 'bad-samples.jsonl'), 'utf8')
        .trim()
        .split('\n');
      expect(JSON.parse(listed[0]!)).toMatchObject({key: 'sample1', reason: 'missingMember'});
    },
    MINUTES,
  );

  test('no video to shard', () => {
    mkdirSync(path.join(data.folder, 'empty'), {recursive: true});
    expectRefusal(
      command('shard', 'folder', path.join(data.folder, 'empty'), '--out', path.join(data.folder, 'out')),
      /There is no video in/,
    );
  });
});

describe('disk', () => {
  test(
    'the disk fills up during a checkpoint: the one before it stays good, and the run goes on later',
    () => {
      const own = path.join(data.folder, 'full');
      cpSync(path.join(root, 'autoencoder'), path.join(own, 'autoencoder'), {recursive: true});
      const file = writeConfig(data.folder, 'full', microConfig('autoencoder', data, {root: own, steps: 4}));
      const before = finalBytes(path.join(own, 'autoencoder'));
      // A limit on the size of files stands for a full disk: writing fails half-way through model.safetensors.
      const limited = spawnSync(
        'bash',
        ['-c', 'ulimit -f 40; exec "$0" "$@"', process.execPath, commandLine, 'train', file],
        {encoding: 'utf8', cwd: repository},
      );
      expectRefusal(limited, /step-000000004|model\.safetensors/);
      expect(finalBytes(path.join(own, 'autoencoder'))).toEqual(before);
      expect(command('train', file).status).toBe(0);
      expect(finalBytes(path.join(own, 'autoencoder')).step!.toString()).toBe('step-000000004');
    },
    MINUTES,
  );

  test('a run folder that cannot be written', () => {
    const file = path.join(data.folder, 'a-file');
    writeFileSync(file, '');
    expectRefusal(command('train', good, '--set', `run.root=${file}`), /run folder .*a-file.* cannot be written/);
  });

  test.skipIf(process.getuid?.() === 0)('a folder without permission (needs a user other than root)', () => {
    const folder = path.join(data.folder, 'closed');
    mkdirSync(folder);
    chmodSync(folder, 0o500);
    expectRefusal(command('train', good, '--set', `run.root=${folder}`), /cannot be written \(EACCES\)/);
  });
});

describe('sampling', () => {
  test('from an autoencoder', () => {
    expectRefusal(
      command('sample', path.join(root, 'autoencoder')),
      /is an autoencoder: sample from a run of stage image or temporal/,
    );
  });
  test('from nothing', () => {
    expectRefusal(command('sample', path.join(data.folder, 'nothing')), /There is no run at/);
  });
});
