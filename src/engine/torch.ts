// The `torch` engine: this project's backend over libtorch.
import {availableParallelism} from 'node:os';
import {RankLost} from '../platform/rank_lost.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {host} from './cpu.ts';
import type {OpenedBackend, Precision} from './engine.ts';
import type {Group, GroupPlace} from './group.ts';
import {findGpu} from './libraries.ts';

const HOW = 'run "npm run build:torch"';

/** The package's exports used here, all optional: a build of another version is refused with a sentence, not a crash. */
interface TorchPackage {
  configure?(options: {precision: Precision; threads?: number}): void;
  describe?(): {device: string; threads: number; precision?: Precision} & Record<string, string | number>;
  capture?: NonNullable<OpenedBackend['capture']>;
  engineStats?(): {allocated: number; reserved: number};
  emptyCache?(most: number): void;
  openGroup?(place: GroupPlace): Promise<Group>;
}

/** What is built, or one sentence why nothing is. Loads no native code. */
export async function torchBuild(): Promise<{version: string; device: string} | {why: string}> {
  try {
    const {findBuild, STALE} = await import('tfjs-backend-torch/built');
    const build = findBuild();
    if (build?.stale) return {why: STALE};
    return build ?? {why: `not built: ${HOW}`};
  } catch (error) {
    return {why: `not built: ${HOW} (${firstLine(error)})`};
  }
}

/** What this process has loaded: it stays, whatever is built meanwhile. */
let loaded: {version: string; device: string} | undefined;

/**
 * With a place in a larger world: computes on the GPU that is this process's by its place, or with its share of the processors,
 * and joins the other ranks.
 * @throws UserError with the reason where it is not built, does not load or cannot join.
 */
export async function openTorch(precision: Precision, place?: GroupPlace): Promise<OpenedBackend> {
  const build = loaded ?? (await torchBuild());
  if ('why' in build) throw new UserError(`The torch engine is not available: ${build.why}.`);
  if (place && build.device === 'cuda') chooseGpu(place);
  const opened = await openAlone(precision, build, place);
  if (place && build.device === 'cuda') refuseMissingGpu(place, opened.device);
  if (!place || place.worldSize === 1) return opened;
  const {openGroup} = await load();
  if (!openGroup) throw new UserError(`The torch engine has no groups of processes: ${HOW}.`);
  try {
    return {...opened, group: sayingWhoIsLost(await openGroup(place))};
  } catch (error) {
    throw new UserError(`The torch engine cannot join the other processes: ${firstLine(error)}`, {cause: error});
  }
}

/** The group, whose calls throw a RankLost where another rank is gone. */
function sayingWhoIsLost(group: Group): Group {
  const {rank, worldSize} = group;
  const lost = (error: unknown): unknown =>
    error instanceof Error && error.message.includes('another rank is gone')
      ? new RankLost(
          `Rank ${rank} of ${worldSize} cannot go on, because another rank is gone, which may have said why: the run's last checkpoint is good, and the same command goes on from it.`,
          {cause: error},
        )
      : error;
  const explained = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      throw lost(error);
    }
  };
  return {
    rank,
    worldSize,
    allReduceMean: variables => explained(() => group.allReduceMean(variables)),
    broadcast: variables => explained(() => group.broadcast(variables)),
    allGatherText: text =>
      group.allGatherText(text).catch((error: unknown) => {
        throw lost(error);
      }),
    close: () => group.close(),
  };
}

/**
 * The GPUs of a machine, one for each of its processes: CUDA_VISIBLE_DEVICES becomes the one of those it lists, or of all, that is
 * this process's. Where it lists one already, that is it.
 */
export function chooseGpu({localRank, localWorldSize}: GroupPlace): void {
  if (localWorldSize === 1 || process.env.TFJS_TORCH_DEVICE === 'cpu') return;
  const list = process.env.CUDA_VISIBLE_DEVICES;
  const gpus = list?.split(',');
  if (gpus?.length === 1) return;
  const gpu = gpus ? gpus[localRank] : String(localRank);
  if (gpu === undefined) {
    throw new UserError(
      `CUDA_VISIBLE_DEVICES is ${list}, and this process has local rank ${localRank} of ${localWorldSize}: list a GPU for each process of this machine.`,
    );
  }
  if (loaded) {
    throw new UserError(
      'The torch engine was opened before with all GPUs: a process that trains with others opens it with its place first.',
    );
  }
  process.env.CUDA_VISIBLE_DEVICES = gpu;
}

/** @throws UserError where the machine has GPUs, but none for this process: alone on the CPU it would keep the others waiting. */
function refuseMissingGpu({localRank, localWorldSize}: GroupPlace, device: string): void {
  if (localWorldSize === 1 || process.env.TFJS_TORCH_DEVICE === 'cpu' || device.startsWith('cuda')) return;
  if (findGpu() === undefined) return;
  throw new UserError(
    `The process of local rank ${localRank} has no GPU (CUDA_VISIBLE_DEVICES is ${process.env.CUDA_VISIBLE_DEVICES}): start at most as many ranks as the machine has GPUs, or set TFJS_TORCH_DEVICE to cpu for all of them.`,
  );
}

/** Results depend on it, so it is the same for all processes of a machine. */
function threadsOf(place: GroupPlace | undefined): {threads?: number} {
  if (!place || place.localWorldSize === 1 || process.env.TFJS_TORCH_THREADS) return {};
  return {threads: Math.max(1, Math.floor(availableParallelism() / place.localWorldSize))};
}

async function openAlone(
  precision: Precision,
  build: {version: string; device: string},
  place: GroupPlace | undefined,
): Promise<OpenedBackend> {
  try {
    const torch = await load();
    torch.configure?.({precision, ...threadsOf(place)});
    if (!(await tf.setBackend('torch'))) throw new Error('its backend did not initialise');
    await tf.ready();
    loaded = build;
    const {device = build.device, threads = 1, precision: used = precision, ...rest} = torch.describe?.() ?? {};
    const capture = torch.capture;
    return {
      device: String(device),
      threads: Number(threads),
      precision: used,
      // Smaller ones are not worth a launch.
      recomputeFrom: String(device).startsWith('cuda') ? 2 ** 20 : Number.POSITIVE_INFINITY,
      describe: {...host(), ...rest, libtorch: build.version, device: String(device), threads: Number(threads)},
      ...(capture ? {capture} : {}),
      giveBack: bytes => {
        const {allocated = 0, reserved = 0} = torch.engineStats?.() ?? {};
        if (reserved > bytes && reserved > allocated) torch.emptyCache?.(bytes);
      },
    };
  } catch (error) {
    throw new UserError(
      `The torch engine, built for libtorch ${build.version}, did not load: ${firstLine(error)}. To build it again, ${HOW}.`,
      {cause: error},
    );
  }
}

async function load(): Promise<TorchPackage> {
  return (await import('tfjs-backend-torch')) as TorchPackage;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
