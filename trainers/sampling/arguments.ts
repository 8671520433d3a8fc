// What the command line gives as files and NAME=VALUE, read and bounded.
import {readBounded} from '../../src/config/load.ts';
import type {SamplingInput} from '../../src/config/pipeline.ts';
import {UserError} from '../../src/platform/user_error.ts';

/** @throws UserError for both a prompt and a file, and for a file that is empty. */
export function promptOf({prompt, promptFile}: {prompt?: string; promptFile?: string}): string | undefined {
  if (promptFile === undefined) return prompt;
  if (prompt !== undefined) throw new UserError('--prompt and --prompt-file are two prompts: give one of them.');
  const text = read('--prompt-file', promptFile).trim();
  if (text === '')
    throw new UserError(`--prompt-file ${promptFile} is empty: write the prompt into it, or leave it out.`);
  return text;
}

/** NAME=VALUE -> values by name. */
export function labelsOf(assignments: readonly string[] | undefined): Record<string, string> | undefined {
  if (!assignments) return undefined;
  const labels: Record<string, string> = {};
  for (const assignment of assignments) {
    const match = /^([^=]+)=(.+)$/s.exec(assignment);
    if (!match) throw new UserError(`--label ${assignment}: expected NAME=VALUE, such as night=1.`);
    if (Object.hasOwn(labels, match[1]!)) throw new UserError(`--label ${match[1]} is given twice.`);
    labels[match[1]!] = match[2]!;
  }
  return labels;
}

/** A JSON file of boxes; its shape is checked with the other settings. */
export function boxesOf(file: string | undefined): SamplingInput['boxes'] {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(read('--boxes', file)) as SamplingInput['boxes'];
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`--boxes ${file} is not valid JSON: expected a list of {"class", "corners"}.`);
  }
}

function read(option: string, file: string): string {
  try {
    return readBounded(file);
  } catch {
    throw new UserError(`${option} ${file} cannot be read, or is larger than 1 MiB.`);
  }
}
