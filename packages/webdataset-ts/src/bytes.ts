// Bytes of one shard from any place, and the reader the tar parser walks over them with.
import {WebDatasetError} from './errors.ts';

/** Where a shard's bytes come from. */
export interface ByteSource {
  /** The shard's name in messages. */
  readonly name: string;
  /** Bytes in all, where that can be trusted (a local file); undefined for streams. */
  readonly size?: number | undefined;
  /** Gaps of at least this many bytes are skipped by opening the source anew further on; Infinity: only by reading. */
  readonly seekBytes: number;
  /** How often an end is asked about again where more was expected: it may be the connection's fault. */
  readonly endChecks: number;
  /** The bytes from an offset to the end. A chunk is only valid until the next one is asked for. */
  chunks(from: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

// Up to this size a member's buffer is allocated on the word of its header alone; above, as its bytes arrive.
const TRUSTED_BYTES = 8 * 2 ** 20;
const EMPTY = new Uint8Array(0);

/** Memory of its own ArrayBuffer; not cleared first where that would cost more than it takes to allocate. */
function ownBuffer(count: number): Uint8Array {
  return count <= 16_384 ? new Uint8Array(count) : new Uint8Array(Buffer.allocUnsafeSlow(count).buffer);
}

/** A forward reader with a position. Everything it returns by `take` is the caller's own memory. */
export class ByteReader {
  readonly source: ByteSource;
  #iterator: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  #position: number;
  readonly #edge = new Uint8Array(512);

  constructor(source: ByteSource, from = 0) {
    this.source = source;
    this.#position = from;
    this.#iterator = source.chunks(from)[Symbol.asyncIterator]();
  }

  /** The offset of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** Makes at least one byte available; false at the end of the source. */
  async #fill(): Promise<boolean> {
    while (this.#at >= this.#chunk.length) {
      let next = await this.#iterator.next();
      for (let check = 0; next.done && check < this.source.endChecks; check++) {
        await this.#iterator.return?.();
        this.#iterator = this.source.chunks(this.#position)[Symbol.asyncIterator]();
        next = await this.#iterator.next();
      }
      if (next.done) {
        this.#chunk = EMPTY;
        this.#at = 0;
        return false;
      }
      this.#chunk = next.value;
      this.#at = 0;
    }
    return true;
  }

  #advance(count: number): void {
    this.#at += count;
    this.#position += count;
  }

  #truncated(wanted: number, found: number): WebDatasetError {
    return new WebDatasetError(
      'truncated',
      `the tar is truncated: ${wanted} bytes were expected at byte ${this.#position - found}, the file has ${found} more`,
      {scope: 'shard', shard: this.source.name},
    );
  }

  /** The next 512 bytes if they have come already, without waiting; valid until the next call. */
  blockNow(): Uint8Array | undefined {
    if (this.#chunk.length - this.#at < 512) return undefined;
    const view = this.#chunk.subarray(this.#at, this.#at + 512);
    this.#advance(512);
    return view;
  }

  /** `take(count)` and then `skip(padding)` if the bytes have come already, without waiting. */
  takeNow(count: number, padding: number): Uint8Array | undefined {
    if (this.#chunk.length - this.#at < count + padding) return undefined;
    const target = ownBuffer(count);
    target.set(this.#chunk.subarray(this.#at, this.#at + count));
    this.#advance(count + padding);
    return target;
  }

  /** The next 512 bytes, valid until the next call; undefined when the source ends exactly here. */
  async block(): Promise<Uint8Array | undefined> {
    const ready = this.blockNow();
    if (ready) return ready;
    if (!(await this.#fill())) return undefined;
    await this.#copyTo(this.#edge);
    return this.#edge;
  }

  async #copyTo(target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      if (!(await this.#fill())) throw this.#truncated(target.length, done);
      const count = Math.min(target.length - done, this.#chunk.length - this.#at);
      target.set(this.#chunk.subarray(this.#at, this.#at + count), done);
      this.#advance(count);
      done += count;
    }
  }

  /** The next `count` bytes in a buffer of their own. */
  async take(count: number): Promise<Uint8Array> {
    if (this.source.size !== undefined && this.#position + count > this.source.size) {
      throw this.#truncated(count, Math.max(0, this.source.size - this.#position));
    }
    if (count <= TRUSTED_BYTES || this.source.size !== undefined) {
      const target = ownBuffer(count);
      await this.#copyTo(target);
      return target;
    }
    // A stream may promise more than it holds: the buffer grows with what has come, at most to twice that.
    let target = new Uint8Array(TRUSTED_BYTES);
    let done = 0;
    while (done < count) {
      if (done === target.length) {
        const larger = new Uint8Array(Math.min(count, 2 * done));
        larger.set(target);
        target = larger;
      }
      await this.#copyTo(target.subarray(done));
      done = target.length;
    }
    return target;
  }

  /** Moves on by `count` bytes, by seeking where the source makes that cheap. */
  async skip(count: number): Promise<void> {
    const buffered = Math.min(count, this.#chunk.length - this.#at);
    this.#advance(buffered);
    let left = count - buffered;
    if (left === 0) return;
    if (this.source.size !== undefined && this.#position + left > this.source.size) {
      throw this.#truncated(left, Math.max(0, this.source.size - this.#position));
    }
    if (left >= this.source.seekBytes) {
      await this.#iterator.return?.();
      this.#position += left;
      this.#chunk = EMPTY;
      this.#at = 0;
      this.#iterator = this.source.chunks(this.#position)[Symbol.asyncIterator]();
      return;
    }
    while (left > 0) {
      if (!(await this.#fill())) throw this.#truncated(left, 0);
      const step = Math.min(left, this.#chunk.length - this.#at);
      this.#advance(step);
      left -= step;
    }
  }

  /** A copy of the next bytes, at most `count`, without moving on. */
  async peek(count: number): Promise<Uint8Array> {
    await this.#fill();
    while (this.#chunk.length - this.#at < count) {
      this.#chunk = this.#chunk.slice(this.#at);
      this.#at = 0;
      const next = await this.#iterator.next();
      if (next.done) break;
      this.#chunk = new Uint8Array(Buffer.concat([this.#chunk, next.value]));
    }
    return this.#chunk.slice(this.#at, this.#at + count);
  }

  /** Everything from here to the end, as chunks of their own memory; the reader itself is used up. */
  async *rest(): AsyncGenerator<Uint8Array> {
    while (await this.#fill()) {
      const chunk = this.#chunk.slice(this.#at);
      this.#advance(chunk.length);
      yield chunk;
    }
  }

  /** Reads on to the end, at most `most` bytes: lets a checksum at the end of a packed stream be verified. */
  async drain(most: number): Promise<void> {
    for (let seen = 0; seen < most && (await this.#fill()); ) {
      const count = this.#chunk.length - this.#at;
      this.#advance(count);
      seen += count;
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
    await this.source.close();
  }
}
