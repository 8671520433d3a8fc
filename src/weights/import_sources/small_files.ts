// The scheduler's and the tokenizers' files of an imported folder.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {UserError} from '../../platform/user_error.ts';
import {type DiffusionSettings, diffusionToDiffusers} from '../key_maps/scheduler_config.ts';
import type {SmallFile} from '../write_model_folder.ts';

export function scheduler(settings: DiffusionSettings, folder = 'scheduler'): SmallFile {
  return {name: `${folder}/scheduler_config.json`, json: diffusionToDiffusers(settings)};
}

const tokenizerNames = [
  'vocab.json',
  'merges.txt',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
];

/** @throws UserError where the folder holds no tokenizer */
export function tokenizerFiles(folder: string | undefined, to: string): SmallFile[] {
  if (folder === undefined) return [];
  const there = tokenizerNames.filter(name => existsSync(path.join(folder, name)));
  if (!there.some(name => name === 'vocab.json' || name === 'tokenizer.json'))
    throw new UserError(`${folder} holds no tokenizer: neither vocab.json with merges.txt nor tokenizer.json.`);
  return there.map(name => ({name: `${to}/${name}`, copyOf: path.join(folder, name)}));
}
