// A recorded trajectory and how far another is from it.
import path from 'node:path';
import {f32} from '../../src/weights/host_tensor.ts';
import {withSafetensors} from '../../src/weights/safetensors.ts';
import type {ParityStage} from './experiment.ts';

/** Values under their names in files, axes in PyTorch's order. */
export type NamedValues = Map<string, {shape: number[]; data: Float32Array}>;

export interface Trajectory {
  /** Mean over the micro-batches, before each update. */
  losses: number[];
  /** Global norm before clipping. */
  gradientNorms: number[];
  ema: NamedValues;
}

/** Relative, of each loss. */
export const lossTolerance = 1e-4;
/** Relative L2, of each tensor's averaged weights. */
export const emaTolerance = 1e-3;

/** PyTorch's trajectory in the repository. */
export function fixtureOf(stage: ParityStage): string {
  return path.resolve(import.meta.dirname, `../../test/golden/trajectories/${stage}.safetensors`);
}

export async function readTrajectory(file: string): Promise<Trajectory> {
  return withSafetensors(file, async open => {
    const ema: NamedValues = new Map();
    let [losses, gradientNorms]: number[][] = [[], []];
    for (const name of open.tensors.keys()) {
      const tensor = await open.read(name);
      const data = f32(tensor);
      if (name === 'losses') losses = [...data];
      else if (name === 'gradient_norms') gradientNorms = [...data];
      else ema.set(name.replace(/^ema\./, ''), {shape: [...tensor.shape], data});
    }
    return {losses: losses!, gradientNorms: gradientNorms!, ema};
  });
}

export interface Differences {
  /** Largest relative difference of a loss. */
  loss: number;
  gradientNorm: number;
  /** Largest relative L2 difference of a tensor of averaged weights, and whose it is. */
  ema: number;
  worst: string;
  closeEnough: boolean;
}

/** @throws Error where the two are not of the same steps and weights. */
export function largestDifferences(ours: Trajectory, theirs: Trajectory): Differences {
  const names = (trajectory: Trajectory) => [...trajectory.ema.keys()].sort().join();
  if (names(ours) !== names(theirs))
    throw new Error('The two trajectories have other weights: record the reference anew.');
  const loss = largestRelative(ours.losses, theirs.losses);
  const gradientNorm = largestRelative(ours.gradientNorms, theirs.gradientNorms);
  let [ema, worst] = [0, ''];
  for (const [name, {shape, data}] of theirs.ema) {
    const own = ours.ema.get(name)!;
    if (own.shape.join() !== shape.join())
      throw new Error(`${name} is [${own.shape}] here and [${shape}] in the reference.`);
    const apart = Math.sqrt(sum(data, (value, i) => (value - own.data[i]!) ** 2) / sum(data, value => value ** 2));
    if (!(apart <= ema)) [ema, worst] = [apart, name];
  }
  return {loss, gradientNorm, ema, worst, closeEnough: loss <= lossTolerance && ema <= emaTolerance};
}

function largestRelative(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length || theirs.length === 0)
    throw new Error(`${ours.length} steps here, ${theirs.length} in the reference.`);
  return Math.max(...theirs.map((value, i) => Math.abs(ours[i]! - value) / Math.abs(value)));
}

function sum(values: Float32Array, of: (value: number, i: number) => number): number {
  let total = 0;
  for (const [i, value] of values.entries()) total += of(value, i);
  return total;
}
