// Video through node-av: FFmpeg inside the process, by its synchronous low-level interface (the asynchronous one needs
// Promise.withResolvers, which Node 20 lacks, and then gives no frames and no error). Run it in a worker thread.
import type {CodecContext, FormatContext, Frame, Stream} from 'node-av/lib';
import {BadSample} from '../bad_sample.ts';
import {checkBytes, checkInfo, checkWhole, endedEarly, pixelFilter, timeTolerance} from './geometry.ts';
import {type FilterChain, filterChain, filterFrame, setOptions} from './node_av_graph.ts';
import {type SourceFile, sourceFile} from './source_file.ts';
import {
  containers,
  defaultLimits,
  type FramesRequest,
  type OpenVideo,
  type VideoInfo,
  type VideoLimits,
  type VideoReader,
} from './video_reader.ts';

type Av = typeof import('node-av/lib');
type Constants = typeof import('node-av/constants');
interface Modules {
  av: Av;
  constants: Constants;
}

/** @throws Error when node-av or its binary is not installed. */
export async function loadNodeAv(): Promise<Modules> {
  const [av, constants] = await Promise.all([import('node-av/lib'), import('node-av/constants')]);
  av.Log.setLevel(constants.AV_LOG_QUIET);
  return {av, constants};
}

export async function nodeAvReader(): Promise<VideoReader> {
  const modules = await loadNodeAv();
  return {
    name: 'node-av',
    version: modules.av.getFFmpegInfo?.().version ?? 'unknown',
    open: async (source, limits) => {
      const bounds = {...defaultLimits, ...limits};
      if (typeof source !== 'string') checkBytes(source, bounds);
      const file = sourceFile(source);
      try {
        return openFile(modules, file, bounds);
      } catch (error) {
        file.close();
        throw error;
      }
    },
  };
}

/** Opened decoder state of one file. */
interface Decoder {
  format: FormatContext;
  stream: Stream;
  codec: CodecContext;
}

function openFile(modules: Modules, file: SourceFile, limits: VideoLimits): OpenVideo {
  const {av, constants} = modules;
  const format = new av.FormatContext();
  format.allocContext();
  setOptions(modules, format, {protocol_whitelist: 'file', format_whitelist: containers});
  const opened = format.openInputSync(file.path, null, null);
  if (opened < 0) throw new BadSample('unreadable', `The video cannot be opened: ${av.FFmpegError.strerror(opened)}.`);
  try {
    const found = format.findStreamInfoSync(null);
    if (found < 0)
      throw new BadSample('unreadable', `The video's streams cannot be read: ${av.FFmpegError.strerror(found)}.`);
    const best = format.findBestStream(constants.AVMEDIA_TYPE_VIDEO, -1, -1);
    const stream = best < 0 ? undefined : format.streams[best];
    if (stream === undefined) {
      const sound = format.streams.some(({codecpar}) => codecpar.codecType === constants.AVMEDIA_TYPE_AUDIO);
      throw sound
        ? new BadSample('noVideo', 'The file has sound but no video stream.')
        : new BadSample('unreadable', 'The file begins like a video but has no stream that can be read.');
    }
    if (stream.hasDisposition(constants.AV_DISPOSITION_ATTACHED_PIC)) {
      throw new BadSample('noVideo', 'The file has sound and a cover picture but no video stream.');
    }
    for (const other of format.streams) if (other.index !== stream.index) other.discard = constants.AVDISCARD_ALL;
    const info = checkInfo(infoOf(modules, format, stream), limits);
    const decoder: Decoder = {format, stream, codec: openCodec(modules, stream)};
    const close = () => {
      decoder.codec.freeContext();
      format.closeInputSync();
      file.close();
    };
    return {
      info,
      clip: async (request, into) => {
        const size = request.width * request.height * 3;
        if (into.byteLength !== size * request.frames)
          throw new RangeError('The clip does not fit the buffer it goes to.');
        let got = 0;
        for (const frame of rgbFrames(modules, decoder, info, request)) into.set(frame, size * got++);
        if (got < request.frames) throw endedEarly(info, request, got);
      },
      frames: async function* (request) {
        let got = 0;
        for (const frame of rgbFrames(modules, decoder, info, request)) {
          got++;
          yield frame;
        }
        checkWhole(info, request, got);
      },
      close,
    };
  } catch (error) {
    format.closeInputSync();
    throw error;
  }
}

function infoOf({av, constants}: Modules, format: FormatContext, stream: Stream): VideoInfo {
  const {codecpar} = stream;
  const fps = ratio(stream.avgFrameRate) ?? ratio(stream.rFrameRate) ?? Number.NaN;
  const own = Number(stream.duration) * (ratio(stream.timeBase) ?? Number.NaN);
  const frames = Number(stream.nbFrames);
  // FFmpeg's "unknown" is the smallest 64-bit integer; a container without durations still says one for the whole file.
  const duration = own > 0 ? own : Number(format.duration) > 0 ? Number(format.duration) / 1e6 : frames / fps;
  const matrix = codecpar.getCodedSideData(constants.AV_PKT_DATA_DISPLAYMATRIX);
  const angle = matrix === null ? 0 : (Math.atan2(matrix.readInt32LE(4), matrix.readInt32LE(0)) * 180) / Math.PI;
  const rotation = (((Math.round(angle / 90) * 90) % 360) + 360) % 360;
  const turned = rotation % 180 !== 0;
  return {
    width: turned ? codecpar.height : codecpar.width,
    height: turned ? codecpar.width : codecpar.height,
    rotation,
    fps,
    duration,
    frames: frames > 0 ? frames : undefined,
    codec: av.avGetCodecName(codecpar.codecId) ?? 'unknown',
  };
}

const ratio = ({num, den}: {num: number; den: number}) => (num > 0 && den > 0 ? num / den : undefined);

function openCodec({av}: Modules, stream: Stream): CodecContext {
  const codec = av.Codec.findDecoder(stream.codecpar.codecId);
  if (codec === null) throw new BadSample('unreadable', 'This FFmpeg build has no decoder for the video.');
  const context = new av.CodecContext();
  context.allocContext3(codec);
  context.parametersToContext(stream.codecpar);
  context.threadCount = 1; // the decode pool is the parallelism
  context.pktTimebase = stream.timeBase;
  const opened = context.open2Sync(codec, null);
  if (opened < 0) throw new BadSample('unreadable', `The decoder does not open: ${av.FFmpegError.strerror(opened)}.`);
  return context;
}

interface Timed {
  frame: Frame;
  /** Seconds after the stream's start. */
  time: number;
  duration: number;
}

/** Decoded frames from the key frame before `start` on, by turns in the two `frames`: each is good for two steps. */
function* decode(
  modules: Modules,
  decoder: Decoder,
  info: VideoInfo,
  start: number,
  frames: readonly [Frame, Frame],
): Generator<Timed> {
  const {av, constants} = modules;
  const {format, stream, codec} = decoder;
  const tick = stream.timeBase.num / stream.timeBase.den;
  const origin = stream.startTime > -(2n ** 62n) ? Number(stream.startTime) : 0;
  // Always seek: the file may have been read before. A little earlier than asked, as decode order runs ahead of display.
  const target = BigInt(Math.floor(origin + Math.max(0, start - 0.2) / tick));
  const sought = format.seekFrameSync(stream.index, target, constants.AVSEEK_FLAG_BACKWARD);
  if (sought < 0) format.seekFrameSync(stream.index, BigInt(origin), constants.AVSEEK_FLAG_BACKWARD);
  codec.flushBuffers();
  const packet = new av.Packet();
  packet.alloc();
  let turn = 0;
  let last = -1 / info.fps;
  try {
    for (let reading = true; reading; ) {
      const read = format.readFrameSync(packet);
      reading = read >= 0;
      if (read < 0 && read !== constants.AVERROR_EOF) {
        throw new BadSample('truncated', `The video cannot be read on: ${av.FFmpegError.strerror(read)}.`);
      }
      if (reading && packet.streamIndex !== stream.index) {
        packet.unref();
        continue;
      }
      const sent = codec.sendPacketSync(reading ? packet : null);
      packet.unref();
      if (sent < 0 && reading)
        throw new BadSample('truncated', `The video cannot be decoded: ${av.FFmpegError.strerror(sent)}.`);
      for (;;) {
        const frame = frames[turn]!;
        frame.unref();
        const received = codec.receiveFrameSync(frame);
        if (received === constants.AVERROR_EAGAIN || received === constants.AVERROR_EOF) break;
        if (received < 0)
          throw new BadSample('truncated', `The video cannot be decoded: ${av.FFmpegError.strerror(received)}.`);
        const stamp = frame.bestEffortTimestamp;
        const time = stamp > -(2n ** 62n) ? (Number(stamp) - origin) * tick : last + 1 / info.fps;
        last = time;
        turn = 1 - turn;
        yield {frame, time, duration: frame.duration > 0n ? Number(frame.duration) * tick : 1 / info.fps};
      }
    }
  } finally {
    packet.free();
  }
}

/** One RGB frame for each wanted time: the last decoded frame not later than it, the first one where there is none. */
function* rgbFrames(
  modules: Modules,
  decoder: Decoder,
  info: VideoInfo,
  request: FramesRequest,
): Generator<Uint8Array> {
  const wanted = request.frames ?? Number.POSITIVE_INFINITY;
  const tolerance = timeTolerance(info, request.fps);
  const timeOf = (n: number) => request.start + n / request.fps + tolerance;
  const toRgb = converter(modules, decoder, pixelFilter(info, request));
  const frames = [new modules.av.Frame(), new modules.av.Frame()] as const;
  for (const frame of frames) frame.alloc();
  let n = 0;
  let held: Timed | undefined;
  try {
    for (const next of decode(modules, decoder, info, request.start, frames)) {
      if (held !== undefined && n < wanted && timeOf(n) < next.time) {
        const rgb = toRgb.convert(held.frame);
        for (; n < wanted && timeOf(n) < next.time; n++) yield Uint8Array.from(rgb);
      }
      if (n >= wanted) return;
      held = next;
    }
    if (held === undefined) return;
    const end = held.time + held.duration + tolerance;
    if (timeOf(n) >= end) return;
    const rgb = toRgb.convert(held.frame);
    for (; n < wanted && timeOf(n) < end; n++) yield Uint8Array.from(rgb);
  } finally {
    toRgb.free();
    for (const frame of frames) frame.free();
  }
}

/** A filter graph made at the first frame, and anew when a stream changes its size or format midway. */
function converter({av}: Modules, {stream}: Decoder, filters: string) {
  let chain: FilterChain | undefined;
  let built = '';
  const out = new av.Frame();
  out.alloc();
  return {
    convert(frame: Frame): Uint8Array {
      const {num, den} = stream.timeBase;
      const format = `pix_fmt=${frame.format}:time_base=${num}/${den}:colorspace=${frame.colorSpace}:range=${frame.colorRange}`;
      const source = `video_size=${frame.width}x${frame.height}:${format}`;
      if (source !== built || chain === undefined) {
        chain?.graph.free();
        chain = undefined;
        try {
          chain = filterChain(av, source, filters);
        } catch (error) {
          throw new BadSample(
            'unreadable',
            `The frames cannot be converted: ${error instanceof Error ? error.message : error}`,
          );
        }
        built = source;
      }
      const done = filterFrame(chain, frame, out);
      if (done < 0)
        throw new BadSample('unreadable', `The frame cannot be converted: ${av.FFmpegError.strerror(done)}.`);
      return out.toBuffer();
    },
    free() {
      out.free();
      chain?.graph.free();
    },
  };
}
