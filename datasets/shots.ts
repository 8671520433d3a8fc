// Where one shot ends and the next begins: two neighbouring frames differ far more, in colours and in where they are, than
// frames around them do. A flash (one odd frame between two alike) is no cut.

export interface ShotOptions {
  /** Share of pixels that must change colour class, 0..1: lower finds more cuts. */
  colours: number;
  /** Mean change of a block's brightness, 0..255. */
  brightness: number;
  /** How many times the change must exceed that of the frames before it. */
  contrast: number;
}

export const defaultShots: ShotOptions = {colours: 0.25, brightness: 14, contrast: 2.5};

/** What is kept of a frame. */
interface Glance {
  /** Shares of 4x4x4 colour classes. */
  colours: Float32Array;
  /** Mean brightness of 12x12 blocks. */
  blocks: Float32Array;
}

const side = 12;
const remembered = 6;

function glance(frame: Uint8Array, width: number, height: number): Glance {
  const colours = new Float32Array(64);
  const blocks = new Float32Array(side * side);
  const counts = new Float32Array(side * side);
  // About 10,000 pixels are enough, however large the frame.
  const step = Math.max(1, Math.floor(Math.sqrt((width * height) / 10_000)));
  let seen = 0;
  for (let y = 0; y < height; y += step) {
    const row = Math.floor((y * side) / height) * side;
    for (let x = 0; x < width; x += step) {
      const at = (y * width + x) * 3;
      const [r, g, b] = [frame[at]!, frame[at + 1]!, frame[at + 2]!];
      const block = row + Math.floor((x * side) / width);
      blocks[block]! += 0.299 * r + 0.587 * g + 0.114 * b;
      counts[block]!++;
      colours[(r >> 6) * 16 + (g >> 6) * 4 + (b >> 6)]!++;
      seen++;
    }
  }
  for (let n = 0; n < 64; n++) colours[n]! /= seen;
  for (let n = 0; n < blocks.length; n++) blocks[n]! /= Math.max(1, counts[n]!);
  return {colours, blocks};
}

/** Changes between two frames: `colours` in 0..1, `brightness` in 0..255. */
function change(a: Glance, b: Glance): {colours: number; brightness: number} {
  let colours = 0;
  for (let n = 0; n < 64; n++) colours += Math.abs(a.colours[n]! - b.colours[n]!);
  let brightness = 0;
  for (let n = 0; n < a.blocks.length; n++) brightness += Math.abs(a.blocks[n]! - b.blocks[n]!);
  return {colours: colours / 2, brightness: brightness / a.blocks.length};
}

/** Each frame with whether a shot begins at it. One frame is held back: a cut must still be one when the next is seen. */
export async function* markShots(
  frames: AsyncIterable<Uint8Array>,
  {width, height}: {width: number; height: number},
  options: ShotOptions = defaultShots,
): AsyncGenerator<{frame: Uint8Array; begins: boolean}> {
  let before: Glance | undefined;
  let held: {frame: Uint8Array; seen: Glance} | undefined;
  /** Changes from frame to frame of the shot so far, the latest ones. */
  let usual: number[] = [];
  /** Whether a shot begins at `now`; a flash is forgotten, so that the frame after it is compared with the one before. */
  const decide = (now: Glance, after: Glance | undefined): boolean => {
    if (before === undefined) {
      before = now;
      return true;
    }
    const moved = change(before, now);
    const typical = usual.length === 0 ? 0 : usual.reduce((sum, value) => sum + value, 0) / usual.length;
    const large = ({colours, brightness}: typeof moved) =>
      colours > options.colours && brightness > options.brightness && brightness > options.contrast * typical;
    const flash = large(moved) && after !== undefined && !large(change(before, after));
    if (flash) return false;
    const cut = large(moved);
    usual = cut ? [] : [...usual, moved.brightness].slice(-remembered);
    before = now;
    return cut;
  };
  for await (const frame of frames) {
    const seen = glance(frame, width, height);
    if (held !== undefined) {
      yield {frame: held.frame, begins: decide(held.seen, seen)};
    }
    held = {frame, seen};
  }
  if (held !== undefined) yield {frame: held.frame, begins: decide(held.seen, undefined)};
}
