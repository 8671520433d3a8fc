// The package's own randomness: Threefry-2x32-20 (Salmon et al. 2011), a pure function of a key and a counter, so that an
// order can be made again from its numbers alone. Only 32-bit additions, xors and rotations: the same on every machine.

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;

/** Two 32-bit words. */
export type Words = readonly [number, number];

/** The Threefry-2x32 block function with 20 rounds: (key, counter) to two uniform 32-bit words. */
export function threefry(key: Words, counter: Words): [number, number] {
  const schedule = [key[0] | 0, key[1] | 0, key[0] ^ key[1] ^ PARITY] as const;
  let x0 = (counter[0] + schedule[0]) | 0;
  let x1 = (counter[1] + schedule[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const by = ROTATIONS[round % 8]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << by) | (x1 >>> (32 - by))) ^ x0;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x0 = (x0 + schedule[injection % 3]!) | 0;
      x1 = (x1 + schedule[(injection + 1) % 3]! + injection) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** A key made from whole numbers (seed, what it is for, epoch, block ...): another list gives an unrelated key. */
export function keyOf(...numbers: number[]): Words {
  let key: Words = [0, numbers.length];
  for (const number of numbers) key = threefry(key, [number >>> 0, Math.floor(number / 2 ** 32) >>> 0]);
  return key;
}

/** The `index`-th uniform number in [0, 1) of a key, with 53 bits. */
export function uniformAt(key: Words, index: number): number {
  const [high, low] = threefry(key, [index >>> 0, Math.floor(index / 2 ** 32) >>> 0]);
  return ((high >>> 6) * 2 ** 27 + (low >>> 5)) / 2 ** 53;
}

/** The key's permutation of 0..count-1 (Fisher-Yates, each draw unbiased by rejection). */
export function permutation(key: Words, count: number): Uint32Array {
  const order = Uint32Array.from({length: count}, (_, index) => index);
  let counter = 0;
  for (let last = count - 1; last > 0; last--) {
    const below = last + 1;
    const accepted = 2 ** 32 - (2 ** 32 % below);
    let draw: number;
    do draw = threefry(key, [counter++, 0])[0];
    while (draw >= accepted);
    const other = draw % below;
    const held = order[last]!;
    order[last] = order[other]!;
    order[other] = held;
  }
  return order;
}

/** A 64-bit fingerprint of a text in 16 hexadecimal digits. It tells changes apart; it is no defence against forgery. */
export function fingerprint(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let state: Words = [bytes.length >>> 0, 0];
  for (let at = 0; at < bytes.length; at += 8) {
    const word = (from: number) =>
      (bytes[from] ?? 0) |
      ((bytes[from + 1] ?? 0) << 8) |
      ((bytes[from + 2] ?? 0) << 16) |
      ((bytes[from + 3] ?? 0) << 24);
    state = threefry(state, [word(at), word(at + 4)]);
  }
  return state.map(word => word.toString(16).padStart(8, '0')).join('');
}
