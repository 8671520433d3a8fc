// The `torch` engine: this project's backend over libtorch.
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {host} from './cpu.ts';
import type {OpenedBackend, Precision} from './engine.ts';

const HOW = 'run "npm run build:torch"';

/** The package's exports used here, all optional: a build of another version is refused with a sentence, not a crash. */
interface TorchPackage {
  configure?(options: {precision: Precision}): void;
  describe?(): {device: string; threads: number; precision?: Precision} & Record<string, string | number>;
  capture?: NonNullable<OpenedBackend['capture']>;
  engineStats?(): {allocated: number; reserved: number};
  emptyCache?(most: number): void;
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

/** @throws UserError with the reason where it is not built or does not load. */
export async function openTorch(precision: Precision): Promise<OpenedBackend> {
  const build = loaded ?? (await torchBuild());
  if ('why' in build) throw new UserError(`The torch engine is not available: ${build.why}.`);
  try {
    const torch = await load();
    torch.configure?.({precision});
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
