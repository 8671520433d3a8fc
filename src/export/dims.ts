// Sizes that depend on dynamic dimensions. A function is traced at several sizes, and each number of the trace (a shape, an
// attribute) is fitted as coefficient * product of (dimension + offset)^power; a number that never changes stays a number.

export interface DimFactor {
  readonly dim: string;
  readonly offset: number;
  readonly power: number;
}

/** numerator / denominator * product of factors. */
export interface SymbolicDim {
  readonly numerator: number;
  readonly denominator: number;
  readonly factors: readonly DimFactor[];
}

export type Dim = number | SymbolicDim;

/** The value of every dynamic dimension in one trace. */
export type DimSizes = Readonly<Record<string, number>>;

export function isSymbolic(dim: Dim): dim is SymbolicDim {
  return typeof dim !== 'number';
}

export function evaluateDim(dim: Dim, sizes: DimSizes): number {
  if (!isSymbolic(dim)) return dim;
  let value = dim.numerator / dim.denominator;
  for (const factor of dim.factors) value *= ((sizes[factor.dim] ?? Number.NaN) + factor.offset) ** factor.power;
  return value;
}

/** A readable form, used as the name of the dimension: `height`, `height*8`, `batch*frames`. */
export function dimName(dim: SymbolicDim): string {
  const parts = dim.factors.map(f => {
    const base = f.offset === 0 ? f.dim : `(${f.dim}${f.offset > 0 ? '+' : ''}${f.offset})`;
    return f.power === 1 ? base : `${base}^${f.power}`;
  });
  if (dim.numerator !== 1) parts.push(String(dim.numerator));
  const product = parts.join('*');
  return dim.denominator === 1 ? product : `${product}/${dim.denominator}`;
}

export function sameDim(a: Dim, b: Dim): boolean {
  if (!isSymbolic(a) || !isSymbolic(b)) return a === b;
  return dimName(a) === dimName(b);
}

const powers = [1, 2, -1, 3, -2];

function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b));
}

/** c as a fraction with a denominator up to 4096, or undefined. */
function fraction(c: number): [number, number] | undefined {
  for (let denominator = 1; denominator <= 4096; denominator++) {
    const numerator = Math.round(c * denominator);
    if (numerator !== 0 && Math.abs(numerator / denominator - c) <= 1e-9 * Math.abs(c)) return [numerator, denominator];
  }
  return undefined;
}

/**
 * The expression that gives samples[k] at sizes[k], or undefined where none of the known form does.
 * sizes[0] is the base; for each dimension the list holds at least two entries where it alone differs from the base.
 */
export function fitDim(samples: readonly number[], sizes: readonly DimSizes[]): Dim | undefined {
  const base = samples[0]!;
  if (samples.every(s => s === base)) return base;
  const at = sizes[0]!;
  const factors: DimFactor[] = [];
  for (const dim of Object.keys(at)) {
    const alone = sizes
      .map((s, k) => ({size: s[dim]!, sample: samples[k]!, k}))
      .filter(({k}) => k > 0 && Object.keys(at).every(d => (d === dim) === (sizes[k]![d] !== at[d])));
    if (alone.every(p => p.sample === base)) continue;
    const power = powers.find(p => alone.every(q => near(q.sample / base, (q.size / at[dim]!) ** p)));
    if (power !== undefined) {
      factors.push({dim, offset: 0, power});
      continue;
    }
    const first = alone[0];
    if (!first) return undefined;
    const slope = (first.sample - base) / (first.size - at[dim]!);
    if (slope === 0) return undefined;
    const offset = base / slope - at[dim]!;
    if (!Number.isInteger(offset)) return undefined;
    factors.push({dim, offset, power: 1});
  }
  const product = evaluateDim({numerator: 1, denominator: 1, factors}, at);
  const scale = fraction(base / product);
  if (!scale) return undefined;
  const fitted: SymbolicDim = {numerator: scale[0], denominator: scale[1], factors};
  return samples.every((s, k) => near(s, evaluateDim(fitted, sizes[k]!))) ? fitted : undefined;
}
