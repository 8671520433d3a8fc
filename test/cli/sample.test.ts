// video-ldm sample: the same bytes for the same seed, made again from the file itself, nothing half-written, and fifty ways
// to call it wrongly, each answered with one sentence.
import {cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import yargs from 'yargs';
import {addCommands} from '../../src/cli/commands.ts';
import {oneLine} from '../../src/cli/failure.ts';
import * as tf from '../../src/tf.ts';
import {sampleRun} from '../../trainers/index.ts';
import {command, type MicroData, microConfig, microData, writeConfig} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
let data: MicroData;
let root = '';
const at = (...names: string[]) => path.join(root, ...names);

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  for (const stage of ['autoencoder', 'image', 'temporal'] as const) {
    const file = writeConfig(data.folder, stage, microConfig(stage, data, {root, steps: 1, checkpointEvery: 1}));
    expect(command('train', file).status).toBe(0);
  }
}, 4 * MINUTES);
afterAll(() => data?.remove());

const quiet = {engine: 'wasm', onProgress: () => undefined} as const;
const sampled = (out: string, more: Partial<Parameters<typeof sampleRun>[0]> = {}) =>
  sampleRun({run: at('temporal'), out: at(out), ...quiet, sampling: {steps: 2}, ...more});

test(
  'the same seed gives the same bytes; --like makes a video again',
  async () => {
    const {files} = await sampled('first', {count: 2, seed: 3, format: 'webp'});
    const again = await sampled('second', {count: 2, seed: 3, format: 'webp'});
    const other = await sampled('third', {count: 1, seed: 4, format: 'webp'});
    const bytes = (file: string) => readFileSync(file);
    for (const [i, file] of files.entries()) expect(bytes(file)).toEqual(bytes(again.files[i]!));
    expect(bytes(files[0]!)).not.toEqual(bytes(other.files[0]!));
    const like = await sampleRun({like: files[1]!, out: at('like'), ...quiet});
    expect(path.basename(like.files[0]!)).toBe('sample-3-0001.webp');
    expect(bytes(like.files[0]!)).toEqual(bytes(files[1]!));
    // From the JSON beside it as well, with another seed where one is given.
    const beside = await sampleRun({
      like: files[1]!.replace('.webp', '.json'),
      out: at('beside'),
      format: 'webp',
      ...quiet,
    });
    expect(bytes(beside.files[0]!)).toEqual(bytes(files[1]!));
    expect(JSON.parse(readFileSync(files[1]!.replace('.webp', '.json'), 'utf8'))).toMatchObject({
      seed: 3,
      index: 1,
      sampling: {steps: 2},
      made: {frames: 4, height: 16, width: 16, fps: 6},
    });
  },
  MINUTES,
);

test(
  'other lengths and sizes, an attention window, a pipeline file, every format',
  async () => {
    const file = path.join(data.folder, 'pipeline.yaml');
    writeFileSync(file, `pipeline: video\nkeyFrames: ${at('temporal')}\nsampling: {steps: 1, size: [24, 32]}\n`);
    for (const format of ['webp', 'gif', 'png'] as const) {
      const {files} = await sampled('shapes', {run: file, format, sampling: {frames: 6, window: 2}});
      expect(existsSync(files[0]!)).toBe(true);
      const like = await sampleRun({like: files[0]!, out: at('shapes-again'), ...quiet});
      expect(path.extname(like.files[0]!)).toBe(format === 'png' ? '' : `.${format}`);
    }
    expect(JSON.parse(readFileSync(at('shapes', 'sample-0-0000.json'), 'utf8'))).toMatchObject({
      made: {frames: 6, height: 24, width: 32},
    });
    const still = await sampled('still', {run: at('image')});
    expect(still.files[0]).toMatch(/\.webp$/);
  },
  MINUTES,
);

test(
  'stopped, it leaves whole videos and nothing else',
  async () => {
    const control = new AbortController();
    let shares = 0;
    const run = sampled('stopped', {
      count: 3,
      format: 'webp',
      signal: control.signal,
      onShare: ({done}) => {
        shares++;
        if (done > 0.4) control.abort();
      },
    });
    await expect(run).rejects.toThrow('aborted');
    expect(shares).toBeGreaterThan(2);
    expect(readdirSync(at('stopped')).sort()).toEqual(['sample-0-0000.json', 'sample-0-0000.webp']);
  },
  MINUTES,
);

test(
  'many videos in a row leave memory flat',
  async () => {
    await sampled('warm', {count: 1, format: 'webp'});
    const seen: {tensors: number; bytes: number}[] = [];
    await sampled('many', {
      count: 12,
      format: 'webp',
      onVideo: () => seen.push({tensors: tf.memory().numTensors, bytes: tf.memory().numBytes}),
    });
    expect(new Set(seen.map(({tensors, bytes}) => `${tensors} ${bytes}`)).size).toBe(1);
  },
  MINUTES,
);

/** Runs the command line in this process and returns what it would print on its way to exit code 1. */
async function refusal(args: readonly string[]): Promise<string> {
  const program = yargs([...args])
    .scriptName('video-ldm')
    .strict()
    .exitProcess(false)
    .version(false)
    .help(false);
  let usage = '';
  program.fail((message, error) => {
    if (!message) throw error;
    usage = oneLine(message);
    throw new Error(message);
  });
  try {
    await addCommands(program).parseAsync();
  } catch (error) {
    const {name, message} = error as Error;
    // What is neither a usage error nor a UserError would be printed as an unexpected failure.
    expect(usage !== '' || name.endsWith('UserError'), `${name}: ${message}`).toBe(true);
    return usage || message;
  }
  return '';
}

describe('fifty ways to call it wrongly', () => {
  const temporal = () => at('temporal');
  const file = (name: string, text: string) => {
    const written = path.join(data.folder, name);
    writeFileSync(written, text);
    return written;
  };
  const pipeline = (name: string, lines: string) => file(`${name}.yaml`, `pipeline: video\n${lines}\n`);
  const own = (...args: string[]) => [temporal(), ...args];
  const mistakes: readonly [what: string, args: () => string[], answer: RegExp][] = [
    ['nothing to sample from', () => [], /Name either a run/],
    ['a run and a file to make again', () => own('--like', 'x.mp4'), /Name either a run/],
    ['a run that is not there', () => [at('nowhere')], /There is no run at/],
    ['a folder that is no run', () => [data.folder], /There is no run at/],
    ['an autoencoder', () => [at('autoencoder')], /is an autoencoder: sample from a run of stage image or temporal/],
    ['a mistyped option', () => own('--stepz', '3'), /Unknown argument: stepz/],
    ['an option without its value', () => own('--seed'), /seed/],
    ['an unknown sampler', () => own('--sampler', 'heun'), /heun/],
    ['an unknown format', () => own('--format', 'avi'), /avi/],
    ['an unknown engine', () => own('--engine', 'tpu'), /tpu/],
    ['unknown weights', () => own('--weights', 'best'), /best/],
    ['no step', () => own('--steps', '0'), /--steps 0: too small/],
    ['too many steps', () => own('--steps', '1001'), /--steps 1001: too big/],
    ['half a step', () => own('--steps', '2.5'), /--steps 2\.5/],
    ['steps that are no number', () => own('--steps', 'many'), /--steps/],
    ['no video', () => own('--count', '0'), /--count must be a whole number from 1, it is 0/],
    ['half a video', () => own('--count', '1.5'), /--count must be a whole number from 1, it is 1\.5/],
    ['a negative seed', () => own('--seed', '-1'), /--seed must be a whole number from 0, it is -1/],
    ['a seed that is too large', () => own('--seed', '1e300'), /--seed must be a whole number/],
    ['no frame', () => own('--frames', '0'), /--frames 0: too small/],
    ['frames beyond all bounds', () => own('--frames', '1000000'), /--frames 1000000: too big/],
    ['frames of an image model', () => [at('image'), '--frames', '8'], /--frames 8 needs a video model/],
    [
      'a size the autoencoder cannot make',
      () => own('--size', '15', '16'),
      /--size 15 16: both must be multiples of 2/,
    ],
    ['half a size', () => own('--size', '16'), /size/],
    ['a size beyond all bounds', () => own('--size', '16', '100000'), /--size .*too big/],
    ['no frame rate', () => own('--fps', '0'), /--fps 0/],
    ['a frame rate beyond all bounds', () => own('--fps', '1000'), /--fps 1000: too big/],
    ['guidance that is no number', () => own('--guidance', 'strong'), /--guidance/],
    ['negative guidance', () => own('--guidance', '-2'), /--guidance -2: too small/],
    ['context guidance beyond all bounds', () => own('--context-guidance', '1e9'), /--context-guidance 1000000000/],
    ['a window of nothing', () => own('--window', '0'), /--window 0: too small/],
    ['three interpolations', () => own('--interpolate', '3'), /--interpolate 3: too big/],
    [
      'interpolation without its model',
      () => own('--interpolate', '1'),
      /--interpolate 1 needs an interpolation model/,
    ],
    ['an image without a prediction model', () => own('--image', 'a.png'), /needs a prediction model/],
    [
      'a prompt for an unconditional model',
      () => own('--prompt', 'a car'),
      /No model .* was trained with a prompt: it is unconditional/,
    ],
    ['labels for an unconditional model', () => own('--label', 'night=1'), /trained with labels: it is unconditional/],
    ['a label without a value', () => own('--label', 'night'), /--label night: expected NAME=VALUE/],
    ['a label twice', () => own('--label', 'night=1', '--label', 'night=0'), /--label night is given twice/],
    ['boxes that are not there', () => own('--boxes', at('none.json')), /--boxes .*none\.json cannot be read/],
    ['boxes that are no JSON', () => own('--boxes', file('bad.json', '{')), /is not valid JSON/],
    ['boxes of another shape', () => own('--boxes', file('odd.json', '[{"class": 1}]')), /--boxes .*at 0\.corners/],
    ['two prompts', () => own('--prompt', 'a', '--prompt-file', 'b'), /two prompts: give one/],
    ['a prompt file that is not there', () => own('--prompt-file', at('none.txt')), /--prompt-file .* cannot be read/],
    [
      'an empty prompt file',
      () => own('--prompt-file', file('empty.txt', ' \n')),
      /--prompt-file .*empty\.txt is empty/,
    ],
    ['memory that does not suffice', () => own('--memory', '1', '--size', '2048', '2048'), /takes at least \d+ MiB/],
    ['an output that is a file', () => own('--out', file('a-file', '')), /a-file cannot be written/],
    [
      'an output inside a file',
      () => own('--out', `${file('b-file', '')}/x`),
      /b-file.* cannot be written \(ENOTDIR\)/,
    ],
    ['a pipeline that is not there', () => [at('none.yaml')], /none\.yaml cannot be read \(ENOENT\)/],
    ['a pipeline that is no YAML', () => [file('broken.yaml', 'a: [')], /broken\.yaml is not valid YAML/],
    [
      'a configuration of training',
      () => [path.join(data.folder, 'temporal.yaml')],
      /temporal\.yaml: "pipeline: video" is missing: this is a configuration of training/,
    ],
    ['a pipeline without key frames', () => [pipeline('none', 'decoder: x')], /"keyFrames" is missing/],
    [
      'a mistyped part',
      () => [pipeline('typo', `keyFrames: ${temporal()}\npredicton: x`)],
      /typo\.yaml:3: unknown key "predicton": did you mean "prediction"\?/,
    ],
    [
      'a mistyped setting',
      () => [pipeline('set', `keyFrames: ${temporal()}\nsampling:\n  step: 3`)],
      /set\.yaml:4: unknown key "sampling\.step"/,
    ],
    [
      'a part of another stage',
      () => [pipeline('stage', `keyFrames: ${temporal()}\nprediction: ${at('image')}`)],
      /prediction: .*image is of stage "image", expected a run of stage prediction/,
    ],
    [
      'a decoder that is none',
      () => [pipeline('decoder', `keyFrames: ${temporal()}\ndecoder: ${at('image')}`)],
      /decoder: .*image is of stage "image", expected a run of stage autoencoder or decoder/,
    ],
    [
      'spatial layers of a video model',
      () => [pipeline('spatial', `keyFrames: ${temporal()}\nspatial: ${temporal()}`)],
      /spatial layers: .* expected a run of stage image/,
    ],
    [
      'layers over time of an image model',
      () => [pipeline('image', `keyFrames: ${at('image')}\nspatial: ${at('image')}`)],
      /has no layers over time/,
    ],
    [
      'a part that is not there',
      () => [pipeline('gone', `keyFrames: ${temporal()}\ninterpolation: ${at('gone')}`)],
      /There is no run at .*gone/,
    ],
    [
      'a video to make again that is not there',
      () => ['--like', at('none.mp4')],
      /--like .*none\.mp4: there is no such file/,
    ],
    ['a video that says nothing', () => ['--like', file('mute.mp4', 'x')], /says nothing of how it was made/],
    ['damaged parameters', () => ['--like', file('torn.json', '{"format":')], /damaged \(no valid JSON\)/],
    [
      'parameters of another version',
      () => ['--like', file('new.json', '{"format": 9}')],
      /not what this version writes \(format/,
    ],
    [
      'several videos like one',
      () => ['--like', file('some.json', '{}'), '--count', '2'],
      /makes one video again: leave --count out/,
    ],
  ];
  test.each(mistakes)(
    '%s',
    async (_, args, answer) => {
      const said = await refusal(
        ['sample', '--engine', 'wasm', '--out', at('never'), ...args()].filter((word, i, all) => {
          // An option given twice is its own: the defaults above give way.
          const name = i > 0 && !word.startsWith('--') ? all[i - 1]! : word;
          return !(i >= 1 && i <= 4 && (name === '--engine' || name === '--out') && all.lastIndexOf(name) > 4);
        }),
      );
      expect(said).toMatch(answer);
      expect(said.trim().split('\n')).toHaveLength(1);
    },
    MINUTES,
  );
  test('there are fifty and more, and none wrote a video', () => {
    expect(mistakes.length).toBeGreaterThanOrEqual(50);
    expect(existsSync(at('never')) ? readdirSync(at('never')) : []).toEqual([]);
  });
  test('a torn checkpoint', () => {
    const copy = at('torn');
    cpSync(temporal(), copy, {recursive: true});
    const [step] = readdirSync(path.join(copy, 'checkpoints')).filter(name => name.startsWith('step'));
    writeFileSync(path.join(copy, 'checkpoints', step!, 'ema.safetensors'), 'x');
    const {status, stderr} = command('sample', copy, '--steps', '1', '--out', at('never'));
    expect(status).toBe(1);
    expect(stderr).not.toMatch(/\n\s+at |unexpected failure/);
    rmSync(copy, {recursive: true});
  });
  test('as a process: one sentence on stderr, exit code 1', () => {
    mkdirSync(at('never'), {recursive: true});
    for (const args of [own('--steps', '0'), [at('nowhere')], own('--stepz', '1')]) {
      const {status, stderr} = command('sample', ...args);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stderr).toMatch(/^video-ldm: /);
      expect(status).toBe(1);
    }
  });
});
