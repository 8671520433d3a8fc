// Training equals the reference: the experiment in PyTorch and in ours, from the same start, batches and noise, then the
// largest differences. `--write` records PyTorch's trajectory for test/trainers/parity.test.ts.
// Usage: npx tsx scripts/parity/compare.ts [--engine torch] [--python /usr/bin/python3] [--write]   (Debian: python3-torch)
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {engineNames, openEngine} from '../../src/engine/index.ts';
import {table} from '../../src/platform/table.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {bytesOf, hostF32} from '../../src/weights/host_tensor.ts';
import {type TensorSource, writeSafetensors} from '../../src/weights/safetensors.ts';
import {
  accumulate,
  clipNorm,
  diffusion,
  inputsOf,
  optimizer,
  type ParityStage,
  parityStages,
  steps,
  unetConfig,
} from './experiment.ts';
import {startingModel, trainOurs, valuesOf} from './train_ours.ts';
import {fixtureOf, largestDifferences, readTrajectory} from './trajectory.ts';

async function main(): Promise<void> {
  const {values} = parseArgs({
    options: {
      engine: {type: 'string', default: 'auto'},
      python: {type: 'string', default: '/usr/bin/python3'},
      write: {type: 'boolean', default: false},
    },
  });
  const choice = ['auto' as const, ...engineNames].find(name => name === values.engine);
  if (!choice) throw new UserError(`--engine is ${values.engine}: expected one of auto, ${engineNames.join(', ')}.`);
  const engine = await openEngine(choice);
  console.log(`ours: ${engine.name} (${engine.device}), ${steps} steps`);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-parity-'));
  const rows: string[][] = [];
  let equal = true;
  try {
    for (const stage of parityStages) {
      const file = await reference(stage, values.python, folder);
      const theirs = await readTrajectory(file);
      if (values.write) await writeSafetensors(fixtureOf(stage), await sourcesOf(file), {metadata: {stage}});
      const ours = await trainOurs(stage, engine);
      const {loss, gradientNorm, ema, worst, closeEnough} = largestDifferences(ours, theirs);
      equal &&= closeEnough;
      const [first = 0, last = 0] = [theirs.losses[0], theirs.losses.at(-1)];
      rows.push([
        stage,
        `${first.toFixed(4)} -> ${last.toFixed(4)}`,
        ...[loss, gradientNorm, ema].map(value => value.toExponential(1)),
        worst,
      ]);
    }
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
  console.log(table(['stage', 'loss', 'losses differ by', 'gradient norms by', 'EMA weights by', 'most in'], rows));
  if (!equal) process.exitCode = 1;
}

/** Trains in PyTorch; returns the file of its trajectory. */
async function reference(stage: ParityStage, python: string, folder: string): Promise<string> {
  const unet = await startingModel(stage);
  const trained = [...unet.trainableNamedWeights().keys()];
  const experiment = {
    ...{
      stage,
      steps,
      trained,
      optimizer: {...optimizer, clipNorm: clipNorm[stage]},
      unet: unetConfig(stage),
      accumulate: accumulate[stage],
    },
    ...{schedule: diffusion.schedule, prediction: diffusion.prediction},
  };
  const tensors: [string, TensorSource][] = [...valuesOf(unet)].map(([name, {shape, data}]) => [
    `start.${name}`,
    hostF32(shape, data),
  ]);
  unet.dispose();
  for (let step = 0; step < steps; step++) {
    for (let microBatch = 0; microBatch < accumulate[stage]; microBatch++) {
      const {timesteps, ...floats} = inputsOf(stage, step, microBatch);
      const at = (name: string) => `step.${step}.${microBatch}.${name}`;
      for (const [name, {shape, data}] of Object.entries(floats)) tensors.push([at(name), hostF32(shape, data)]);
      tensors.push([at('timesteps'), {dtype: 'I32', shape: [timesteps.length], data: bytesOf(timesteps)}]);
    }
  }
  const [description, inputs, out] = ['json', 'inputs.safetensors', 'out.safetensors'].map(end =>
    path.join(folder, `${stage}.${end}`),
  ) as [string, string, string];
  writeFileSync(description, JSON.stringify(experiment));
  await writeSafetensors(inputs, tensors);
  const {status, error} = spawnSync(
    python,
    [path.join(import.meta.dirname, 'reference.py'), description, inputs, out],
    {stdio: 'inherit'},
  );
  if (error) throw new UserError(`${python} cannot be run (${error.message}): name a Python with torch by --python.`);
  if (status !== 0)
    throw new UserError(`${python} ended with code ${status}: does it have torch (Debian: python3-torch)?`);
  return out;
}

async function sourcesOf(file: string): Promise<[string, TensorSource][]> {
  const {losses, gradientNorms, ema} = await readTrajectory(file);
  return [
    ['losses', hostF32([losses.length], Float32Array.from(losses))],
    ['gradient_norms', hostF32([gradientNorms.length], Float32Array.from(gradientNorms))],
    ...[...ema].map(([name, {shape, data}]): [string, TensorSource] => [`ema.${name}`, hostF32(shape, data)]),
  ];
}

main().catch(error => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
});
