// What the operating system's file errors mean, as one sentence for the user.
import {UserError} from '../platform/user_error.ts';

const meanings: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of its path is a file, not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'it is there already',
  EACCES: 'this user may not access it',
  EPERM: 'this user may not access it',
  EROFS: 'its file system is read-only',
  ENOSPC: 'no space is left on its disk: free some and run the same command again',
  EDQUOT: "this user's disk quota is used up: free some space and run the same command again",
  EFBIG: 'the file would be larger than this process or file system allows',
  EMFILE: 'this process has too many files open',
  EIO: 'the disk failed',
};

/** The system's code of an error (`ENOSPC`), where it has one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** A UserError "Cannot DOING PATH: why." for a file error; any other error as it is. */
export function fileError(error: unknown, doing: string, path: string): unknown {
  const meaning = meanings[errorCode(error) ?? ''];
  return meaning ? new UserError(`Cannot ${doing} ${path}: ${meaning}.`, {cause: error}) : error;
}

/** Runs `work`, with its file errors explained. */
export async function explained<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, doing, path);
  }
}
