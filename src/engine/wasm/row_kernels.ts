// The arithmetic of the fused kernels, four channels at a time. u = x * a + b is a normalisation with its affine part folded
// into one multiplier and one offset per sample and channel.
import {
  abs,
  add,
  type Code,
  copySign,
  div,
  get,
  load,
  max,
  min,
  mul,
  nearest,
  type Place,
  powerOfTwo,
  type RowKernel,
  set,
  splat,
  sqrt,
  store,
  sub,
} from './assembler.ts';

/** Places that the formulas below use for themselves; a body's own start after them. */
const [T0, T1, OWN] = [0, 1, 2];

/** temp(T0) = exp(x), relative error below 2e-7; x is cut to [-87, 88]. Cephes' expf polynomial. */
function exponential({temp}: Place, x: Code): Code {
  const coefficients = [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5];
  const [k, r] = [temp(T0), temp(T1)];
  const polynomial = coefficients.reduce<Code>(
    (sum, c, i) => (i === 0 ? splat(c) : add(mul(sum, get(r)), splat(c))),
    [],
  );
  return [
    ...set(r, min(max(x, splat(-87)), splat(88))),
    ...set(k, nearest(mul(get(r), splat(Math.LOG2E)))),
    // ln 2 in two parts: k times the first is exact.
    ...set(r, sub(get(r), mul(get(k), splat(0.693359375)))),
    ...set(r, add(get(r), mul(get(k), splat(2.1219444e-4)))),
    ...set(k, mul(add(add(mul(mul(get(r), get(r)), polynomial), get(r)), splat(1)), powerOfTwo(get(k)))),
  ];
}

/** temp(T0) = 1 / (1 + exp(-x)). */
function sigmoid(at: Place, x: Code): Code {
  const t0 = at.temp(T0);
  return [...exponential(at, sub(splat(0), x)), ...set(t0, div(splat(1), add(splat(1), get(t0))))];
}

/** temp(T0) = s (1 + k u (1 - s)): the slope of u * sigmoid(k u), s = sigmoid(k u). */
function gatedSlope(at: Place, u: Code, k: number): Code {
  const t0 = at.temp(T0);
  const ku = k === 1 ? u : mul(u, splat(k));
  return [...sigmoid(at, ku), ...set(t0, mul(get(t0), add(splat(1), mul(ku, sub(splat(1), get(t0))))))];
}

/**
 * temp(own) = Phi(x) and temp(own + 1) = exp(-x^2 / 2), by the formula 7.1.26 of Abramowitz and Stegun for erf
 * (error below 1.5e-7), which TensorFlow.js's own Erf uses.
 */
function normalCdf(at: Place, x: Code, own: number): Code {
  const [t0, phi, e] = [at.temp(T0), at.temp(own), at.temp(own + 1)];
  const coefficients = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const z = mul(abs(x), splat(Math.SQRT1_2));
  const polynomial = coefficients.reduce<Code>(
    (sum, c, i) => (i === 0 ? splat(c) : add(mul(sum, get(t0)), splat(c))),
    [],
  );
  return [
    ...exponential(at, mul(mul(x, x), splat(-0.5))),
    ...set(e, get(t0)),
    ...set(t0, div(splat(1), add(splat(1), mul(splat(0.3275911), z)))),
    ...set(phi, copySign(sub(splat(1), mul(mul(polynomial, get(t0)), get(e))), x)),
    ...set(phi, mul(splat(0.5), add(splat(1), get(phi)))),
  ];
}

const gated = (k: number): {value: RowKernel; gradient: RowKernel} => ({
  value: {
    rows: ['x', 'y'],
    vectors: [],
    temps: OWN,
    body: at => [
      ...sigmoid(at, k === 1 ? load(at.rows.x!) : mul(load(at.rows.x!), splat(k))),
      ...store(at.rows.y!, mul(load(at.rows.x!), get(at.temp(T0)))),
    ],
  },
  gradient: {
    rows: ['dy', 'x', 'dx'],
    vectors: [],
    temps: OWN,
    body: at => [
      ...gatedSlope(at, load(at.rows.x!), k),
      ...store(at.rows.dx!, mul(load(at.rows.dy!), get(at.temp(T0)))),
    ],
  },
});

const accumulate = (address: Code, value: Code): Code => store(address, add(load(address), value));
const INVERSE_SQRT_TWO_PI = 1 / Math.sqrt(2 * Math.PI);
const u = ({rows, vectors}: Place): Code => add(mul(load(rows.x!), load(vectors.a!)), load(vectors.b!));

export const rowKernels = {
  /** sums[c] += x */
  columnSum: {
    rows: ['x'],
    vectors: ['sums'],
    temps: 0,
    body: ({rows, vectors}) => accumulate(vectors.sums!, load(rows.x!)),
  },
  /** sums[c] += (x - mean[c])^2 */
  columnVariance: {
    rows: ['x'],
    vectors: ['mean', 'sums'],
    temps: OWN,
    body: ({rows, vectors, temp}) => [
      ...set(temp(T0), sub(load(rows.x!), load(vectors.mean!))),
      ...accumulate(vectors.sums!, mul(get(temp(T0)), get(temp(T0)))),
    ],
  },
  affine: {rows: ['x', 'y'], vectors: ['a', 'b'], temps: 0, body: at => store(at.rows.y!, u(at))},
  affineSilu: {
    rows: ['x', 'y'],
    vectors: ['a', 'b'],
    temps: OWN + 1,
    body: at => [
      ...set(at.temp(OWN), u(at)),
      ...sigmoid(at, get(at.temp(OWN))),
      ...store(at.rows.y!, mul(get(at.temp(OWN)), get(at.temp(T0)))),
    ],
  },
  /** du = dy, sums[c] += du, products[c] += du * (x - mean[c]) */
  normSums: {
    rows: ['dy', 'x'],
    vectors: ['mean', 'sums', 'products'],
    temps: OWN,
    body: ({rows, vectors, temp}) => [
      ...set(temp(T0), load(rows.dy!)),
      ...accumulate(vectors.sums!, get(temp(T0))),
      ...accumulate(vectors.products!, mul(get(temp(T0)), sub(load(rows.x!), load(vectors.mean!)))),
    ],
  },
  /** The same with du = dy * silu'(x * a + b), which is kept. */
  normSumsSilu: {
    rows: ['dy', 'x', 'du'],
    vectors: ['a', 'b', 'mean', 'sums', 'products'],
    temps: OWN + 1,
    body: at => [
      ...set(at.temp(OWN), u(at)),
      ...gatedSlope(at, get(at.temp(OWN)), 1),
      ...set(at.temp(OWN), mul(load(at.rows.dy!), get(at.temp(T0)))),
      ...store(at.rows.du!, get(at.temp(OWN))),
      ...accumulate(at.vectors.sums!, get(at.temp(OWN))),
      ...accumulate(at.vectors.products!, mul(get(at.temp(OWN)), sub(load(at.rows.x!), load(at.vectors.mean!)))),
    ],
  },
  /** dx = du * p[c] + x * q[c] + r[c] */
  normGradient: {
    rows: ['du', 'x', 'dx'],
    vectors: ['p', 'q', 'r'],
    temps: 0,
    body: ({rows, vectors}) =>
      store(
        rows.dx!,
        add(mul(load(rows.du!), load(vectors.p!)), add(mul(load(rows.x!), load(vectors.q!)), load(vectors.r!))),
      ),
  },
  /** y = x + v[c] */
  addRow: {
    rows: ['x', 'y'],
    vectors: ['v'],
    temps: 0,
    body: ({rows, vectors}) => store(rows.y!, add(load(rows.x!), load(vectors.v!))),
  },
  /** y = x * a + z * b, a and b one number each over the row */
  mix: {
    rows: ['x', 'z', 'y'],
    vectors: ['a', 'b'],
    temps: 0,
    body: ({rows, vectors}) =>
      store(rows.y!, add(mul(load(rows.x!), load(vectors.a!)), mul(load(rows.z!), load(vectors.b!)))),
  },
  /** y = x * a[c] */
  scale: {
    rows: ['x', 'y'],
    vectors: ['a'],
    temps: 0,
    body: ({rows, vectors}) => store(rows.y!, mul(load(rows.x!), load(vectors.a!))),
  },
  /** sums[c] += dy * (x - z) */
  mixSum: {
    rows: ['dy', 'x', 'z'],
    vectors: ['sums'],
    temps: 0,
    body: ({rows, vectors}) => accumulate(vectors.sums!, mul(load(rows.dy!), sub(load(rows.x!), load(rows.z!)))),
  },
  silu: gated(1).value,
  siluGradient: gated(1).gradient,
  quickGelu: gated(1.702).value,
  quickGeluGradient: gated(1.702).gradient,
  gelu: {
    rows: ['x', 'y'],
    vectors: [],
    temps: OWN + 2,
    body: at => [
      ...normalCdf(at, load(at.rows.x!), OWN),
      ...store(at.rows.y!, mul(load(at.rows.x!), get(at.temp(OWN)))),
    ],
  },
  geluGradient: {
    rows: ['dy', 'x', 'dx'],
    vectors: [],
    temps: OWN + 2,
    body: at => [
      ...normalCdf(at, load(at.rows.x!), OWN),
      ...store(
        at.rows.dx!,
        mul(
          load(at.rows.dy!),
          add(get(at.temp(OWN)), mul(mul(load(at.rows.x!), get(at.temp(OWN + 1))), splat(INVERSE_SQRT_TWO_PI))),
        ),
      ),
    ],
  },
  /** y = value * gelu(gate); value and gate are the halves of one row, given by their first elements. */
  geglu: {
    rows: ['value', 'gate', 'y'],
    halves: ['value', 'gate'],
    vectors: [],
    temps: OWN + 2,
    body: at => [
      ...normalCdf(at, load(at.rows.gate!), OWN),
      ...store(at.rows.y!, mul(load(at.rows.value!), mul(load(at.rows.gate!), get(at.temp(OWN))))),
    ],
  },
  gegluGradient: {
    rows: ['dy', 'value', 'gate', 'dvalue', 'dgate'],
    halves: ['value', 'gate', 'dvalue', 'dgate'],
    vectors: [],
    temps: OWN + 2,
    body: at => {
      const [dy, gate] = [load(at.rows.dy!), load(at.rows.gate!)];
      const [phi, density] = [get(at.temp(OWN)), mul(get(at.temp(OWN + 1)), splat(INVERSE_SQRT_TWO_PI))];
      return [
        ...normalCdf(at, gate, OWN),
        ...store(at.rows.dvalue!, mul(dy, mul(gate, phi))),
        ...store(at.rows.dgate!, mul(mul(dy, load(at.rows.value!)), add(phi, mul(gate, density)))),
      ];
    },
  },
  /** sums += g^2 */
  sumOfSquares: {
    rows: ['g'],
    vectors: ['sums'],
    temps: 0,
    body: ({rows, vectors}) => accumulate(vectors.sums!, mul(load(rows.g!), load(rows.g!))),
  },
  /**
   * m = beta1 m + restM g; v = beta2 v + restV g^2; w = kept w - size m / (sqrt(v) + epsilon), with `restM`, `restV` holding
   * the clipping, and `size`, `epsilon` the bias corrections.
   */
  adamW: {
    rows: ['w', 'g', 'm', 'v'],
    vectors: ['beta1', 'restM', 'beta2', 'restV', 'kept', 'size', 'epsilon'],
    temps: OWN,
    body: ({rows, vectors, temp}) => [
      ...set(temp(T0), add(mul(load(vectors.beta1!), load(rows.m!)), mul(load(vectors.restM!), load(rows.g!)))),
      ...set(
        temp(T1),
        add(mul(load(vectors.beta2!), load(rows.v!)), mul(load(vectors.restV!), mul(load(rows.g!), load(rows.g!)))),
      ),
      ...store(rows.m!, get(temp(T0))),
      ...store(rows.v!, get(temp(T1))),
      ...store(
        rows.w!,
        sub(
          mul(load(vectors.kept!), load(rows.w!)),
          div(mul(load(vectors.size!), get(temp(T0))), add(sqrt(get(temp(T1))), load(vectors.epsilon!))),
        ),
      ),
    ],
  },
} satisfies Record<string, RowKernel>;

export type RowKernelName = keyof typeof rowKernels;
