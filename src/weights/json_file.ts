// Small JSON files from elsewhere: bounded, and an object or a sentence why not.
import {readFile, stat} from 'node:fs/promises';
import {UserError} from '../platform/user_error.ts';
import {explained} from './file_errors.ts';

export type Json = Readonly<Record<string, unknown>>;

const MAX_BYTES = 2 ** 20;

/** @throws UserError for a file that is missing, too large, or holds no JSON object. */
export async function readJson(file: string): Promise<Json> {
  const text = await explained('read', file, async () => {
    const {size} = await stat(file);
    if (size > MAX_BYTES)
      throw new UserError(`${file} has ${size} bytes, more than a model's configuration can have (${MAX_BYTES}).`);
    return readFile(file, 'utf8');
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${file} is no JSON: ${error instanceof Error ? error.message : error}.`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new UserError(`${file} must hold a JSON object.`);
  return json as Json;
}
