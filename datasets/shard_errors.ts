// What is wrong with shards themselves: which errors end a run, and how the others are listed.
import {WebDatasetError} from 'webdataset-ts';
import {UserError} from '../src/platform/user_error.ts';
import type {BadSampleReport} from './batch.ts';

/** A shard that cannot be had is not a bad sample: going on without it would change the data. A run resumes instead. */
const unavailable = new Set<string>(['not-found', 'forbidden', 'http-status', 'network', 'shard-changed', 'io']);

/** Hands damage in a shard to `report`; throws what is no damage. */
export function damageTo(report: (damage: BadSampleReport) => void): (error: WebDatasetError) => void {
  return error => {
    if (unavailable.has(error.code)) throw error;
    const {scope, shard = '', key = '', detail} = error;
    report({
      shard,
      key,
      reason: 'badShard',
      detail: scope === 'shard' ? `${detail}; the rest of the shard is lost` : detail,
    });
  };
}

/** An error of the shard reader as the one sentence a user reads; any other error as it is. */
export function readable(error: unknown): unknown {
  return error instanceof WebDatasetError ? new UserError(sentence(error.message)) : error;
}

export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
