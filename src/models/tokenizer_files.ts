// A tokenizer's files: `tokenizer.json`, or `vocab.json` with `merges.txt`.
import {existsSync, readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import {UserError} from '../platform/user_error.ts';
import type {TokenizerFiles} from './tokenizer.ts';

const MAX_FILE_BYTES = 64 * 2 ** 20;

/** Reads a tokenizer's folder: vocab.json + merges.txt, or tokenizer.json. @throws UserError for what is not one. */
export function readTokenizer(folder: string): TokenizerFiles {
  const at = (name: string) => path.join(folder, name);
  if (existsSync(at('vocab.json')) && existsSync(at('merges.txt'))) {
    return {
      vocabulary: vocabularyOf(json(at('vocab.json')), at('vocab.json')),
      merges: mergesOf(text(at('merges.txt')).split('\n')),
    };
  }
  if (!existsSync(at('tokenizer.json')))
    throw new UserError(`${folder} holds neither vocab.json with merges.txt nor tokenizer.json.`);
  const {model} = json(at('tokenizer.json')) as {model?: {vocab?: unknown; merges?: unknown}};
  if (!Array.isArray(model?.merges)) throw new UserError(`${at('tokenizer.json')} holds no list of merges.`);
  // Newer files write a pair as a list.
  return {
    vocabulary: vocabularyOf(model.vocab, at('tokenizer.json')),
    merges: mergesOf(model.merges.map(pair => (Array.isArray(pair) ? pair.join(' ') : String(pair)))),
  };
}

function mergesOf(lines: readonly string[]): string[] {
  return lines.map(line => line.trimEnd()).filter(line => line !== '' && !line.startsWith('#version'));
}

function vocabularyOf(value: unknown, file: string): Map<string, number> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (entries.length === 0 || !entries.every(([, id]) => Number.isInteger(id)))
    throw new UserError(`${file} holds no vocabulary: expected an object of tokens and their numbers.`);
  return new Map(entries as [string, number][]);
}

function text(file: string): string {
  const {size} = statSync(file);
  if (size > MAX_FILE_BYTES)
    throw new UserError(`${file} has ${size} bytes, more than a tokenizer's file can have (${MAX_FILE_BYTES}).`);
  return readFileSync(file, 'utf8');
}

function json(file: string): Record<string, unknown> {
  try {
    return JSON.parse(text(file)) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file} is no JSON: ${error instanceof Error ? error.message : error}.`);
  }
}
