// BDD100K's labels as NAME.json beside its videos, which is what `video-ldm shard rds` reads: boxes from the tracking labels
// (a list of frames a video, 5 a second), the time of day from the image labels.
// `npx tsx scripts/bdd100k_labels.ts VIDEOS TRACKS IMAGES.json`: the folder of NAME.mov, that of NAME.json, and det_*.json.
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

interface BddFrame {
  name: string;
  index?: number;
  frameIndex?: number;
  attributes?: {timeofday?: string};
  labels?: {category?: string; box2d?: {x1: number; y1: number; x2: number; y2: number}}[] | null;
}

interface Labels {
  fps: number;
  night: 0 | 1;
  timeofday: string;
  crowdedness: number;
  boxes: {frame: number; xyxy: [number, number, number, number]; class: string}[];
}

/** Frames a second that are labelled. */
const trackFps = 5;
/** Who makes a scene crowded. */
const traffic = /^(pedestrian|rider|other person|car|truck|bus|train|motorcycle|bicycle|other vehicle|trailer)$/;

/** One video's labels; `timeofday` is `daytime`, `night`, `dawn/dusk` or `undefined`. */
export function labelsOf(frames: readonly BddFrame[], timeofday: string): Labels {
  const boxes = frames.flatMap(({index, frameIndex, labels}, n) =>
    (labels ?? []).flatMap(({category, box2d}): Labels['boxes'] => {
      if (category === undefined || box2d === undefined) return [];
      const {x1, y1, x2, y2} = box2d;
      if (!(x1 < x2 && y1 < y2)) return []; // a box of no area
      return [{frame: frameIndex ?? index ?? n, xyxy: [x1, y1, x2, y2], class: category}];
    }),
  );
  const crowd = boxes.filter(({class: kind}) => traffic.test(kind)).length / Math.max(1, frames.length);
  return {fps: trackFps, night: timeofday === 'night' ? 1 : 0, timeofday, crowdedness: Math.round(crowd), boxes};
}

/** The time of day of each video: image labels are named after it. */
export function timesOfDay(images: readonly BddFrame[]): Map<string, string> {
  return new Map(images.map(({name, attributes}) => [path.parse(name).name, attributes?.timeofday ?? 'undefined']));
}

function main([videos, tracks, images]: readonly string[]): void {
  if (videos === undefined || tracks === undefined || images === undefined)
    throw new Error(
      'Three arguments are needed: the folder of videos, that of tracking labels, the file of image labels.',
    );
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as BddFrame[];
  const times = timesOfDay(read(images));
  let [written, lacking] = [0, 0];
  for (const file of readdirSync(videos).filter(name => /\.(mov|mp4)$/.test(name))) {
    const {name} = path.parse(file);
    const track = path.join(tracks, `${name}.json`);
    const time = times.get(name);
    if (!existsSync(track) || time === undefined) {
      lacking++;
      continue;
    }
    writeFileSync(path.join(videos, `${name}.json`), JSON.stringify(labelsOf(read(track), time)));
    written++;
  }
  console.log(
    `${written} videos have labels now; ${lacking} have no track or no time of day, and will be listed as bad.`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.slice(2));
