// Host memory in pages of one size, for maps that are parked between two steps: a page that one map lets go of is the next
// one's. What is parked is therefore what the maps hold, not what a garbage collector has not come to yet, and the system's
// allocator has nothing to fragment. Pages come in segments, taken as they are needed; all go when the store does.

export interface RowStore {
  /** Numbers in a page. */
  readonly page: number;
  readonly segments: Float32Array[];
  readonly free: number[];
  /** Pages handed out, now and at most. */
  used: number;
  most: number;
}

/** Pages in a segment. */
const SEGMENT = 512;

export function rowStore(page: number): RowStore {
  return {page, segments: [], free: [], used: 0, most: 0};
}

/** The number of a page that nobody has. */
export function takePage(store: RowStore): number {
  const {segments, free} = store;
  if (free.length === 0) {
    // Where it is large the system zeroes it lazily: what is never written takes no memory.
    segments.push(new Float32Array(SEGMENT * store.page));
    for (let i = 1; i <= SEGMENT; i++) free.push(segments.length * SEGMENT - i);
  }
  store.used++;
  store.most = Math.max(store.most, store.used);
  return free.pop()!;
}

export function pageOf(store: RowStore, index: number): Float32Array {
  const from = (index % SEGMENT) * store.page;
  return store.segments[Math.floor(index / SEGMENT)]!.subarray(from, from + store.page);
}

export function freePage(store: RowStore, index: number): void {
  store.free.push(index);
  store.used--;
}

/** Most bytes that were handed out at once. */
export function mostBytes({most, page}: RowStore): number {
  return 4 * most * page;
}
