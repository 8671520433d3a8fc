// What made a video: stored beside it as JSON and in the file itself, and read back to make it again.
import {existsSync, readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import {z} from 'zod';
import {findComment} from '../../datasets/index.ts';
import {partsShape, samplingSchema} from '../../src/config/pipeline.ts';
import {UserError} from '../../src/platform/user_error.ts';

const MARKER = 'video-ldm:';

export const parametersSchema = z.strictObject({
  format: z.literal(1),
  /** Each part's checkpoint. */
  parts: z.strictObject(partsShape),
  sampling: samplingSchema,
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  index: z.int().min(0).max(0xffffffff),
  weights: z.enum(['ema', 'raw']),
  engine: z.record(z.string(), z.union([z.string(), z.number()])),
  made: z.strictObject({frames: z.int(), height: z.int(), width: z.int(), fps: z.number()}),
});
export type Parameters = z.infer<typeof parametersSchema>;

/** As one line of ASCII without the characters that XML would take for its own. */
export function asComment(parameters: Parameters): string {
  const json = JSON.stringify(parameters).replace(
    /[<>&\u007f-\uffff]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return MARKER + json;
}

/** The JSON file beside a video, or beside the folder of its frames. */
export function besideOf(video: string): string {
  return `${video.replace(/\.(mp4|webm|webp|gif)$/, '')}.json`;
}

/** Of a video, a folder of frames, or the JSON beside either. @throws UserError where there are none, or they are damaged. */
export function readParameters(file: string): Parameters {
  if (!existsSync(file)) throw new UserError(`--like ${file}: there is no such file.`);
  const isFolder = statSync(file).isDirectory();
  const beside = file.endsWith('.json') ? file : besideOf(file);
  const inside = isFolder ? path.join(file, '0000.png') : file;
  const text =
    (file.endsWith('.json') || !existsSync(inside) ? undefined : findComment(inside, MARKER)) ??
    (existsSync(beside) ? readFileSync(beside, 'utf8') : undefined);
  if (text === undefined)
    throw new UserError(`--like ${file}: it says nothing of how it was made, and ${beside} is not there.`);
  const parsed = parametersSchema.safeParse(jsonOf(text, file));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(
    `--like ${file}: its parameters are not what this version writes (${issue?.path.join('.')}: ${issue?.message}).`,
  );
}

function jsonOf(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError(`--like ${file}: its parameters are damaged (no valid JSON).`);
  }
}
