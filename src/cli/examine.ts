// What doctor finds out: engines, video readers, encoders.
import os from 'node:os';
import {openVideoEncoder, openVideoReader} from '../../datasets/index.ts';
import {type EngineRow, engineTable, packageVersion} from '../engine/index.ts';

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
    version: packageVersion('video-ldm'),
    node: process.versions.node,
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    engines,
    auto: engines.find(row => row.available)?.engine ?? 'none',
    parts: await videoParts(),
  };
}

/** The decoders and the encoder that work, and what to install where none does. */
async function videoParts(): Promise<Examination['parts']> {
  const parts = [];
  for (const engine of ['node-av', 'ffmpeg'] as const) {
    const found = await openVideoReader(engine).catch((error: unknown) =>
      error instanceof Error ? error : new Error(String(error)),
    );
    parts.push({
      name: `read video: ${engine}`,
      works: !(found instanceof Error),
      detail: found instanceof Error ? found.message : `FFmpeg ${found.version}`,
    });
  }
  const encoder = await openVideoEncoder();
  parts.push({
    name: 'write mp4, webm',
    works: encoder !== undefined,
    detail: encoder?.name ?? 'videos are written as webp: install node-av or ffmpeg',
  });
  return parts;
}
