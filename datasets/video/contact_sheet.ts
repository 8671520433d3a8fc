// A PNG that shows clips at a glance: a row a clip, a column a frame, with optional words before each row.
import type {OverlayOptions} from 'sharp';
import {loadSharp} from '../image_library.ts';
import {checkFrames, type Frames} from './video_encoder.ts';
import {writeNew} from './write_video.ts';

export interface SheetRow {
  frames: Frames;
  /** Words before the row. */
  label?: string;
}

export interface SheetOptions {
  /** At most this many frames a row, evenly chosen. Default 16. */
  columns?: number;
  /** Side of a cell: frames are shown this high at least (whole multiples, so that pixels stay pixels). Default 64. */
  cellHeight?: number;
  /** Pixels between cells. Default 2. */
  gap?: number;
}

const maxSide = 32_000; // PNG viewers and libvips both manage this
const background = {r: 24, g: 24, b: 24};

/** Writes the sheet and returns the path written (a number is added to a name that is taken). */
export async function writeContactSheet(
  file: string,
  rows: readonly SheetRow[],
  options: SheetOptions = {},
): Promise<string> {
  return writeNew(file, await contactSheet(rows, options));
}

/** The sheet as PNG bytes. @throws RangeError when there is no row or the sheet would be too large. */
export async function contactSheet(
  rows: readonly SheetRow[],
  {columns = 16, cellHeight = 64, gap = 2}: SheetOptions = {},
): Promise<Uint8Array> {
  if (rows.length === 0) throw new RangeError('A contact sheet needs at least one clip.');
  const cells = rows.map(({frames}) => {
    const [count, height, width] = checkFrames(frames, {fps: 1});
    const zoom = Math.max(1, Math.round(cellHeight / height));
    const shown = Math.min(columns, count);
    const chosen = Array.from({length: shown}, (_, n) =>
      shown === 1 ? 0 : Math.round((n * (count - 1)) / (shown - 1)),
    );
    return {chosen, height: height * zoom, width: width * zoom};
  });
  const longest = Math.max(0, ...rows.map(({label}) => label?.length ?? 0));
  const left = longest === 0 ? 0 : Math.min(420, 16 + 8 * longest);
  const width = left + Math.max(...cells.map(cell => cell.chosen.length * (cell.width + gap))) + gap;
  const height = cells.reduce((sum, cell) => sum + cell.height + gap, gap);
  if (width > maxSide || height > maxSide) {
    throw new RangeError(`The contact sheet would be ${width}x${height} pixels; give fewer clips or smaller ones.`);
  }
  const sharp = await loadSharp();
  const layers: OverlayOptions[] = [];
  let top = gap;
  for (const [n, row] of rows.entries()) {
    const cell = cells[n]!;
    const [, h, w] = row.frames.shape;
    for (const [column, frame] of cell.chosen.entries()) {
      const data = row.frames.data.subarray(frame * h * w * 3, (frame + 1) * h * w * 3);
      const image = sharp(data, {raw: {width: w, height: h, channels: 3}});
      const input = await image
        .resize(cell.width, cell.height, {kernel: 'nearest'})
        .png({compressionLevel: 1})
        .toBuffer();
      layers.push({input, left: left + gap + column * (cell.width + gap), top});
    }
    if (row.label !== undefined) layers.push({input: labelImage(row.label, left, cell.height), left: 0, top});
    top += cell.height + gap;
  }
  const canvas = sharp({create: {width, height, channels: 3, background}});
  return canvas.composite(layers).png().toBuffer();
}

function labelImage(label: string, width: number, height: number): Buffer {
  const escapes: Record<string, string> = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'};
  const text = label.replace(/[&<>"]/g, c => escapes[c] ?? c).replace(/\p{Cc}/gu, ' ');
  const style = 'font-family="DejaVu Sans, sans-serif" font-size="13" fill="#dddddd"';
  const body = `<text x="8" y="${Math.round(height / 2) + 4}" ${style}>${text}</text>`;
  return Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${body}</svg>`);
}
