// The calls with which checkpoints are written, so that tests can let the disk fill up.
import {type FileHandle, mkdir, open, rename, rm} from 'node:fs/promises';

export interface CheckpointFs {
  open(file: string, flags: string): Promise<Pick<FileHandle, 'write' | 'sync' | 'close'>>;
  rename: typeof rename;
  rm: typeof rm;
  mkdir: typeof mkdir;
}

export const realFs: CheckpointFs = {open, rename, rm, mkdir};

/** Writes and flushes a small file. */
export async function writeText(file: string, text: string, fs: CheckpointFs): Promise<void> {
  const handle = await fs.open(file, 'w');
  try {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length; ) done += (await handle.write(bytes.subarray(done))).bytesWritten;
    await handle.sync();
  } finally {
    await handle.close();
  }
}
