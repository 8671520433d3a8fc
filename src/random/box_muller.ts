// The Box-Muller transform in float64 with its own log, sin and cos: Math.log and its like differ between versions of V8,
// these use only exact IEEE operations and are within 2 ulp of the true values before the one rounding to float32.

const LN2 = Math.LN2;
const HALF_PI = 1.5707963267948966;
const SQRT_HALF = Math.SQRT1_2;

/**
 * Normals from 32-bit words: words (a, b) at an even place give r cos(t), r sin(t) with
 * r = sqrt(-2 ln((a+1) / 2^32)), t = 2 pi b / 2^32. Largest magnitude 6.66.
 * Writes elements skip .. skip+n-1 of the word buffer's normals to target[from..from+n-1].
 */
export function boxMuller(
  words: Uint32Array,
  skip: number,
  target: Float32Array | Float64Array,
  from: number,
  n: number,
): void {
  const end = skip + n;
  const shift = from - skip;
  for (let i = skip & ~1; i < end; i += 2) {
    const radius = Math.sqrt(-2 * logOfFraction(words[i]!));
    // Nearest multiple of a quarter turn, and the rest in [-pi/4, pi/4).
    const turn = words[i + 1]!;
    const quarter = (turn + 0x20000000) >>> 30;
    const rest = ((turn << 2) / 2 ** 32) * HALF_PI;
    const x = rest * rest;
    const sine = rest * sineOver(x);
    const cosine = cosineOf(x);
    // cos and sin of (quarter turns + rest).
    const swap = (quarter & 1) === 1;
    const c = swap ? sine : cosine;
    const s = swap ? cosine : sine;
    if (i >= skip) target[i + shift] = radius * (quarter === 1 || quarter === 2 ? -c : c);
    if (i + 1 < end) target[i + 1 + shift] = radius * (quarter >= 2 ? -s : s);
  }
}

/** ln((word + 1) / 2^32): exponent by counting zeros, mantissa m in [sqrt 1/2, sqrt 2) by ln m = 2 artanh((m-1)/(m+1)). */
function logOfFraction(word: number): number {
  if (word === 0xffffffff) return 0;
  const zeros = Math.clz32(word + 1);
  let exponent = -zeros;
  let m = (((word + 1) << zeros) >>> 0) / 2 ** 32;
  if (m < SQRT_HALF) {
    m *= 2;
    exponent -= 1;
  }
  const z = (m - 1) / (m + 1);
  const w = z * z;
  // Series of artanh(z) / z to z^20; |z| < 0.1716, so what is left out is below 1e-18.
  let sum = 1 / 21;
  sum = sum * w + 1 / 19;
  sum = sum * w + 1 / 17;
  sum = sum * w + 1 / 15;
  sum = sum * w + 1 / 13;
  sum = sum * w + 1 / 11;
  sum = sum * w + 1 / 9;
  sum = sum * w + 1 / 7;
  sum = sum * w + 1 / 5;
  sum = sum * w + 1 / 3;
  return exponent * LN2 + 2 * (z + z * w * sum);
}

/** sin(t) / t as a function of x = t^2, |t| <= pi/4 (Taylor to t^16; the rest is below 1e-19). */
function sineOver(x: number): number {
  let sum = 1 / 355687428096000;
  sum = sum * x - 1 / 1307674368000;
  sum = sum * x + 1 / 6227020800;
  sum = sum * x - 1 / 39916800;
  sum = sum * x + 1 / 362880;
  sum = sum * x - 1 / 5040;
  sum = sum * x + 1 / 120;
  sum = sum * x - 1 / 6;
  return 1 + x * sum;
}

/** cos(t) as a function of x = t^2, |t| <= pi/4 (Taylor to t^18). */
function cosineOf(x: number): number {
  let sum = -1 / 6402373705728000;
  sum = sum * x + 1 / 20922789888000;
  sum = sum * x - 1 / 87178291200;
  sum = sum * x + 1 / 479001600;
  sum = sum * x - 1 / 3628800;
  sum = sum * x + 1 / 40320;
  sum = sum * x - 1 / 720;
  sum = sum * x + 1 / 24;
  sum = sum * x - 1 / 2;
  return 1 + x * sum;
}
