// What doctor finds out: engines, video readers, encoders.
import {readFileSync} from 'node:fs';
import os from 'node:os';
import {videoSupport} from '../../datasets/index.ts';
import {type EngineRow, engineTable} from '../engine/index.ts';

export interface Examination {
  version: string;
  node: string;
  cores: number;
  memoryGiB: number;
  engines: readonly EngineRow[];
  /** The engine that `--engine auto` takes. */
  auto: string;
  parts: readonly {name: string; works: boolean; detail: string}[];
}

export async function examine(): Promise<Examination> {
  const engines = await engineTable();
  return {
    version: packageVersion(),
    node: process.versions.node,
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    engines,
    auto: engines.find(row => row.available)?.engine ?? 'none',
    parts: await videoSupport(),
  };
}

function packageVersion(): string {
  // dist/src/cli/examine.js -> package.json of the package
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const {version} = JSON.parse(text) as {version: string};
  return version;
}
