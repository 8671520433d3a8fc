// What is known of an encoded shard: `NAME.json` beside `NAME`, written after it. A shard without one is not finished.
import {existsSync, readFileSync, statSync} from 'node:fs';
import {rename, writeFile} from 'node:fs/promises';
import type {BadSampleReport} from '../../datasets/index.ts';
import {UserError} from '../../src/platform/user_error.ts';

export interface EncodeRecord {
  /** Hashes of what made it. */
  made: {encoder: string; preprocessing: string; text?: string};
  source: string;
  samples: number;
  frames: number;
  /** 0 where no sample was good, and no shard is there. */
  bytes: number;
  sha256: string | undefined;
  seconds: number;
  bad: BadSampleReport[];
}

export const recordFile = (shard: string): string => `${shard}.json`;

/** The record of a shard that is there and whole; undefined where it must be made. @throws UserError where others made it. */
export function readRecord(shard: string, made: EncodeRecord['made']): EncodeRecord | undefined {
  const file = recordFile(shard);
  if (!existsSync(file)) return undefined;
  const record = parse(readFileSync(file, 'utf8'));
  if (record === undefined) return undefined;
  const labels = {encoder: 'autoencoder', preprocessing: 'size or frame rate', text: 'text encoder'} as const;
  for (const [field, label] of Object.entries(labels) as [keyof typeof labels, string][]) {
    if (record.made[field] !== made[field])
      throw new UserError(`${shard} was encoded with another ${label}: choose another --out, or --overwrite.`);
  }
  const there = existsSync(shard) ? statSync(shard).size : 0;
  return there === record.bytes ? record : undefined;
}

function parse(text: string): EncodeRecord | undefined {
  try {
    const value = JSON.parse(text) as Partial<EncodeRecord> | null;
    const whole = typeof value?.made === 'object' && typeof value.bytes === 'number' && Array.isArray(value.bad);
    return whole ? (value as EncodeRecord) : undefined;
  } catch {
    return undefined;
  }
}

/** Appears whole or not at all. */
export async function writeJson(file: string, value: object): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(value, undefined, 2)}\n`, {flush: true});
  await rename(temporary, file);
}
