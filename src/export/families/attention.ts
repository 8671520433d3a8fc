// Attention from MatMul, Softmax, MatMul; from opset 23 it is an operator.
import {constantOf} from '../constants.ts';
import type {Emitter} from '../emitter.ts';

export const maskedOut = -3.4028234663852886e38; // the lowest float32: minus infinity gives NaN where a whole row is masked

/** softmax(query keys * scale + mask) values; query [..., L, d], keys [..., d, M], values [..., M, d]. */
export function attend(e: Emitter, query: string, keys: string, values: string, scale: number, mask?: string): string {
  const scores = e.op('MatMul', [e.op('Mul', [query, e.build.scalar(scale)]), keys]);
  const weights = e.op('Softmax', [mask === undefined ? scores : e.op('Add', [scores, mask])], {axis: -1});
  return e.op('MatMul', [weights, values]);
}

/** The operator of opset 23, heads side by side in the last axis: query [N, L, heads * d], keys and values [N, M, heads * d]. */
export function attentionOperator(
  e: Emitter,
  [query, keys, values]: readonly [string, string, string],
  heads: number,
  options: {readonly mask?: string | undefined; readonly causal?: boolean} = {},
): string {
  return e.op('Attention', [query, keys, values, ...(options.mask === undefined ? [] : [options.mask])], {
    q_num_heads: heads,
    kv_num_heads: heads,
    ...(options.causal ? {is_causal: 1} : {}),
  });
}

/** A constant [size, size] mask that lets i see j where `sees` says so. */
export function maskOf(e: Emitter, size: number, sees: (i: number, j: number) => boolean): string {
  const values = Array.from({length: size * size}, (_, at) => (sees(Math.floor(at / size), at % size) ? 0 : maskedOut));
  return e.constant(constantOf('float32', [size, size], values));
}
