// A picture as the first frame of a video: any image that sharp reads, turned upright, cropped to the shape and scaled.
import {statSync} from 'node:fs';
import {UserError} from '../src/platform/user_error.ts';
import {loadSharp} from './image_library.ts';

const MAX_BYTES = 256 * 2 ** 20;
const MAX_PIXELS = 2 ** 28;

/** RGB uint8 [height,width,3]. @throws UserError where the file is not there, too large, or no image. */
export async function readStillImage(file: string, size: {height: number; width: number}): Promise<Uint8Array> {
  let bytes: number;
  try {
    bytes = statSync(file).size;
  } catch {
    throw new UserError(`The image ${file} is not there.`);
  }
  if (bytes > MAX_BYTES) throw new UserError(`The image ${file} is larger than 256 MiB.`);
  const sharp = await loadSharp();
  try {
    return await sharp(file, {limitInputPixels: MAX_PIXELS, failOn: 'truncated'})
      .autoOrient()
      .resize(size.width, size.height, {fit: 'cover', kernel: 'cubic'})
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer();
  } catch (error) {
    throw new UserError(
      `The image ${file} cannot be read: ${error instanceof Error ? error.message.split('\n')[0] : error}.`,
    );
  }
}
