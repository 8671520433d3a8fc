// Video through an ffmpeg child process. Starting one costs 130-160 ms, so this suits whole files and long clips; the
// container is read by mediabunny (a few ms), by ffprobe where mediabunny does not know it.
import {ALL_FORMATS, BufferSource, FilePathSource, Input} from 'mediabunny';
import {BadSample} from '../bad_sample.ts';
import {lastWords, runChild, startChild} from './child.ts';
import {checkBytes, checkInfo, checkWhole, endedEarly, pixelFilter, timeTolerance} from './geometry.ts';
import {type SourceFile, sourceFile} from './source_file.ts';
import {
  containers,
  defaultLimits,
  type FramesRequest,
  type VideoInfo,
  type VideoLimits,
  type VideoReader,
  type VideoSource,
} from './video_reader.ts';

/** Only what the file itself holds, and only containers of the list. */
const confined = ['-protocol_whitelist', 'file', '-format_whitelist', containers] as const;

/** @throws Error when there is no ffmpeg on the PATH. */
export async function ffmpegReader(program = 'ffmpeg'): Promise<VideoReader> {
  const version = /^ffmpeg version (\S+)/.exec(await runChild(program, ['-version'], 30_000))?.[1] ?? 'unknown';
  return {
    name: 'ffmpeg',
    version,
    open: async (source, limits) => {
      const bounds = {...defaultLimits, ...limits};
      if (typeof source !== 'string') checkBytes(source, bounds);
      const file = sourceFile(source);
      try {
        const {info, origin} = await probe(source, file, bounds);
        checkInfo(info, bounds);
        const read = (request: FramesRequest) => rgbFrames(program, file, info, origin, request, bounds);
        return {
          info,
          clip: async (request, into) => {
            const size = request.width * request.height * 3;
            if (into.byteLength !== size * request.frames)
              throw new RangeError('The clip does not fit the buffer it goes to.');
            let got = 0;
            for await (const frame of read(request)) into.set(frame, size * got++);
            if (got < request.frames) throw endedEarly(info, request, got);
          },
          frames: async function* (request) {
            let got = 0;
            for await (const frame of read(request)) {
              got++;
              yield frame;
            }
            checkWhole(info, request, got);
          },
          close: () => file.close(),
        };
      } catch (error) {
        file.close();
        throw error;
      }
    },
  };
}

interface Probed {
  info: VideoInfo;
  /** Time stamp of the first frame, seconds. */
  origin: number;
}

async function probe(source: VideoSource, file: SourceFile, limits: VideoLimits): Promise<Probed> {
  const quick = await probeContainer(source).catch(() => undefined);
  return quick ?? (await probeByFfprobe(file, limits));
}

/** By mediabunny; undefined when it does not know the container or finds no video, so that ffprobe has the last word. */
async function probeContainer(source: VideoSource): Promise<Probed | undefined> {
  const from = typeof source === 'string' ? new FilePathSource(source) : new BufferSource(source);
  const input = new Input({source: from, formats: ALL_FORMATS});
  try {
    const track = await input.getPrimaryVideoTrack();
    if (track === null) return undefined;
    const origin = await track.getFirstTimestamp();
    const {packetCount, averagePacketRate} = await track.computePacketStats();
    const turned = track.rotation % 180 !== 0;
    const info: VideoInfo = {
      width: turned ? track.codedHeight : track.codedWidth,
      height: turned ? track.codedWidth : track.codedHeight,
      rotation: track.rotation,
      fps: averagePacketRate,
      duration: (await track.computeDuration()) - origin,
      frames: packetCount > 0 ? packetCount : undefined,
      codec: track.codec ?? 'unknown',
    };
    return {info, origin};
  } finally {
    input.dispose();
  }
}

async function probeByFfprobe(file: SourceFile, limits: VideoLimits): Promise<Probed> {
  const wanted = ['-v', 'error', '-show_streams', '-show_format', '-select_streams', 'V:0', '-of', 'json'];
  const text = await runChild('ffprobe', [...wanted, ...confined, file.path], limits.timeoutMs).catch(error => {
    if (error instanceof BadSample) throw error;
    throw new BadSample('unreadable', `The video cannot be opened: ${lastWords(String(error.message))}.`);
  });
  const said = JSON.parse(text) as {streams?: FfprobeStream[]; format?: {duration?: string}};
  const stream = said.streams?.[0];
  if (stream === undefined) throw new BadSample('noVideo', 'The file has no video stream.');
  const turn = stream.side_data_list?.find(({rotation}) => rotation !== undefined)?.rotation ?? 0;
  const rotation = (((Math.round(-turn / 90) * 90) % 360) + 360) % 360;
  const turned = rotation % 180 !== 0;
  const fps = ratio(stream.avg_frame_rate) ?? ratio(stream.r_frame_rate) ?? Number.NaN;
  const frames = Number(stream.nb_frames ?? 0);
  const width = turned ? stream.height : stream.width;
  const height = turned ? stream.width : stream.height;
  const info: VideoInfo = {
    width: width ?? 0,
    height: height ?? 0,
    rotation,
    fps,
    duration: Number(stream.duration ?? said.format?.duration ?? frames / fps),
    frames: frames > 0 ? frames : undefined,
    codec: stream.codec_name ?? 'unknown',
  };
  return {info, origin: Number(stream.start_time ?? 0)};
}

interface FfprobeStream {
  width?: number;
  height?: number;
  avg_frame_rate?: string;
  r_frame_rate?: string;
  nb_frames?: string;
  duration?: string;
  start_time?: string;
  codec_name?: string;
  side_data_list?: {rotation?: number}[];
}

function ratio(text: string | undefined): number | undefined {
  const [num, den] = (text ?? '').split('/').map(Number);
  return num !== undefined && den !== undefined && num > 0 && den > 0 ? num / den : undefined;
}

async function* rgbFrames(
  program: string,
  file: SourceFile,
  info: VideoInfo,
  origin: number,
  request: FramesRequest,
  limits: VideoLimits,
): AsyncGenerator<Uint8Array> {
  const size = request.width * request.height * 3;
  // Frame n is the last one whose time is at most start + n / fps: rounding time x fps up puts a frame in the first slot
  // that may show it, and the fps filter repeats it until the next one comes.
  const shift = origin + request.start + timeTolerance(info, request.fps);
  const filters = `settb=1/1000000,setpts=PTS-${shift}/TB,fps=fps=${request.fps}:start_time=0:round=up,${pixelFilter(info, request)}`;
  const seek = request.start > 0.2 ? ['-noaccurate_seek', '-ss', String(request.start - 0.2)] : [];
  const running = startChild(program, [
    ...['-nostdin', '-v', 'error', '-xerror', '-threads', '1', '-noautorotate', '-copyts'],
    ...[...confined, ...seek, '-i', file.path, '-map', '0:V:0', '-an', '-sn', '-dn', '-vf', filters],
    ...(request.frames === undefined ? [] : ['-frames:v', String(request.frames)]),
    ...['-filter_threads', '1', '-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'],
  ]);
  let timedOut = false;
  const watch = () =>
    setTimeout(() => {
      timedOut = true;
      running.kill();
    }, limits.timeoutMs);
  let timer = watch(); // for each frame anew: a whole file may take long
  try {
    let frame = new Uint8Array(size);
    let filled = 0;
    for await (const chunk of running.child.stdout as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; ) {
        const take = Math.min(size - filled, chunk.length - at);
        frame.set(chunk.subarray(at, at + take), filled);
        at += take;
        filled += take;
        if (filled < size) continue;
        clearTimeout(timer);
        yield frame;
        timer = watch();
        frame = new Uint8Array(size);
        filled = 0;
      }
    }
    const {code, words} = await running.ended;
    if (timedOut) throw new BadSample('timeout', `ffmpeg gave no frame within ${limits.timeoutMs} ms.`);
    if (code !== 0) throw new BadSample('truncated', `The video cannot be decoded: ${lastWords(words)}.`);
  } finally {
    clearTimeout(timer);
    running.kill();
  }
}
