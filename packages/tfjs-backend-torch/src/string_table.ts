// String tensors live in libtorch as int32 indices into this table, so that every kernel that only moves or compares
// elements works on them unchanged. Equal strings have equal indices.
import {util} from '@tensorflow/tfjs-core';

/** The index of an element that was never set: a hole in the array that is read back. */
const missing = -1;

export class StringTable {
  #values: Uint8Array[] = [];
  #indices = new Map<string, number>();
  #users = 0;

  /** Indices of the strings' bytes. Each call is paired with one release(). */
  intern(strings: readonly (Uint8Array | undefined | null)[]): Int32Array {
    const result = new Int32Array(strings.length);
    for (let i = 0; i < strings.length; i++) {
      const bytes = strings[i];
      result[i] = bytes ? this.#indexOf(bytes) : missing;
    }
    return result;
  }

  #indexOf(bytes: Uint8Array): number {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.#values.length;
      this.#values.push(Uint8Array.from(bytes));
      this.#indices.set(key, index);
    }
    return index;
  }

  lookup(indices: Int32Array): Uint8Array[] {
    const result = new Array<Uint8Array>(indices.length);
    indices.forEach((index, i) => {
      if (index === missing) return;
      const bytes = this.#values[index];
      if (!bytes) throw new Error(`String index ${index} is outside the table of ${this.#values.length} strings.`);
      result[i] = bytes;
    });
    return result;
  }

  /** For every index its place in the order of the strings, by which comparisons of indices are comparisons of strings. */
  ranks(): Int32Array {
    const texts = this.#values.map(bytes => util.decodeString(bytes));
    const order = texts.map((_, i) => i).sort((a, b) => (texts[a]! < texts[b]! ? -1 : texts[a]! > texts[b]! ? 1 : 0));
    const ranks = new Int32Array(texts.length);
    order.forEach((index, rank) => {
      ranks[index] = rank;
    });
    return ranks;
  }

  /** One more tensor refers to the table. */
  retain(): void {
    this.#users++;
  }

  /** One tensor fewer; when none is left the table is emptied. */
  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    this.#values = [];
    this.#indices.clear();
  }
}
