// Letting decoding threads finish when the process exits: Node terminates them, and one that is inside FFmpeg at that moment
// takes the process down with SIGABRT instead of its exit code. An exit handler may wait, so it waits for idle threads.

/** Shared by a pool and its threads: word 0 says stop, word 1 + n says that thread n is busy. */
export type BusyWords = Int32Array<SharedArrayBuffer>;

const pools = new Set<BusyWords>();
/** Milliseconds: longer than any one clip takes; a thread that hangs must not hold the exit for ever. */
const patience = 3000;

export function busyWords(threads: number): BusyWords {
  return new Int32Array(new SharedArrayBuffer(4 * (1 + threads)));
}

export function waitAtExit(words: BusyWords): void {
  if (pools.size === 0) process.on('exit', settle);
  pools.add(words);
}

export function forget(words: BusyWords): void {
  pools.delete(words);
  if (pools.size === 0) process.off('exit', settle);
}

function settle(): void {
  for (const words of pools) Atomics.store(words, 0, 1);
  const until = Date.now() + patience;
  for (const words of pools) {
    for (let n = 1; n < words.length; n++) {
      while (Atomics.load(words, n) === 1 && Date.now() < until) Atomics.wait(words, n, 1, until - Date.now());
    }
  }
}

/** In a thread: marks it busy while `work` runs; undefined, without running it, once the process is exiting. */
export async function whileBusy<T>(words: BusyWords, thread: number, work: () => Promise<T>): Promise<T | undefined> {
  Atomics.store(words, 1 + thread, 1);
  try {
    return Atomics.load(words, 0) === 1 ? undefined : await work();
  } finally {
    Atomics.store(words, 1 + thread, 0);
    Atomics.notify(words, 1 + thread);
  }
}
