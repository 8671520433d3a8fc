// A file name for bytes in memory: decoders seek, so they want a file. On Linux the file is unlinked at once and read
// through /proc, so that a killed process leaves nothing behind.
import {accessSync, closeSync, constants, mkdtempSync, openSync, rmSync, unlinkSync, writeSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {VideoSource} from './video_reader.ts';

export interface SourceFile {
  /** Absolute, so that it never reads as an option or as a protocol. */
  readonly path: string;
  close(): void;
}

/** Memory-backed where the system has such a folder: a clip never touches the disk. */
function scratchFolder(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

export function sourceFile(source: VideoSource): SourceFile {
  if (typeof source === 'string') return {path: path.resolve(source), close: () => {}};
  const folder = mkdtempSync(path.join(scratchFolder(), 'video-ldm-'));
  const name = path.join(folder, 'clip');
  const file = openSync(name, 'wx+', 0o600);
  try {
    for (let at = 0; at < source.byteLength; ) at += writeSync(file, source, at);
  } catch (error) {
    closeSync(file);
    rmSync(folder, {recursive: true, force: true});
    throw error;
  }
  if (process.platform !== 'linux') {
    const close = () => {
      closeSync(file);
      rmSync(folder, {recursive: true, force: true});
    };
    return {path: name, close};
  }
  unlinkSync(name);
  rmSync(folder, {recursive: true, force: true});
  // A child process opens this name too: it belongs to our process, not to /proc/self.
  return {path: `/proc/${process.pid}/fd/${file}`, close: () => closeSync(file)};
}
