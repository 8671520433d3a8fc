// Typed reading of a kernel's attributes, which TensorFlow.js leaves loosely typed. A number that depends on a dynamic dimension
// arrives as a SymbolicDim, and only `dims` and `dim` accept it.
import {type Dim, dimName, isSymbolic} from './dims.ts';

export type AttributeValue = number | string | boolean | null | undefined | Dim | readonly AttributeValue[];

export class Attributes {
  readonly #values: Readonly<Record<string, AttributeValue>>;
  readonly #owner: () => string;

  constructor(values: Readonly<Record<string, AttributeValue>>, owner: () => string) {
    this.#values = values;
    this.#owner = owner;
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined && this.#values[key] !== null;
  }

  raw(key: string): AttributeValue {
    return this.#values[key];
  }

  number(key: string, fallback?: number): number {
    const value = this.#values[key] ?? fallback;
    if (typeof value === 'number') return value;
    return this.#wrong(key, 'a number', value);
  }

  flag(key: string): boolean {
    return Boolean(this.#values[key]);
  }

  text(key: string, fallback?: string): string {
    const value = this.#values[key] ?? fallback;
    return typeof value === 'string' ? value : this.#wrong(key, 'a string', value);
  }

  /** A list of numbers; a single number counts as a list of one. */
  numbers(key: string): number[] {
    return this.dims(key).map(d => (isSymbolic(d) ? this.#wrong(key, 'fixed sizes', d) : d));
  }

  pairs(key: string): [number, number][] {
    return this.list(key).map(pair => {
      const [a, b] = Array.isArray(pair) ? (pair as readonly AttributeValue[]) : [];
      return typeof a === 'number' && typeof b === 'number' ? [a, b] : this.#wrong(key, 'pairs of fixed sizes', pair);
    });
  }

  list(key: string): readonly AttributeValue[] {
    const value = this.#values[key];
    return Array.isArray(value) ? (value as readonly AttributeValue[]) : this.#wrong(key, 'a list', value);
  }

  dim(key: string): Dim {
    return this.dims(key)[0]!;
  }

  /** A list of sizes, each a number or a symbolic size. */
  dims(key: string): Dim[] {
    const value = this.#values[key];
    const list = Array.isArray(value) ? (value as readonly AttributeValue[]) : [value];
    return list.map(v => {
      if (typeof v === 'number') return v;
      return v !== null && typeof v === 'object' && !Array.isArray(v) ? (v as Dim) : this.#wrong(key, 'sizes', v);
    });
  }

  #wrong(key: string, expected: string, value: AttributeValue): never {
    const shown =
      value !== null && typeof value === 'object' && 'factors' in value
        ? `a size that depends on ${dimName(value)}`
        : JSON.stringify(value);
    throw new TypeError(`${this.#owner()}: attribute "${key}" should be ${expected}, not ${shown}.`);
  }
}
