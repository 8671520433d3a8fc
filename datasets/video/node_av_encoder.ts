// Video encoding through node-av, by its synchronous interface: RGB frames through a filter graph, encoder and muxer.
import type {CodecContext, Frame} from 'node-av/lib';
import {filterChain, filterFrame, setOptions} from './node_av_graph.ts';
import {loadNodeAv} from './node_av_reader.ts';
import {
  checkFrames,
  type EncodeOptions,
  encodingOf,
  type Frames,
  inScratchFile,
  type VideoEncoder,
} from './video_encoder.ts';

type Modules = Awaited<ReturnType<typeof loadNodeAv>>;

export async function nodeAvEncoder(): Promise<VideoEncoder> {
  const modules = await loadNodeAv();
  if (modules.av.Codec.findEncoderByName(modules.constants.FF_ENCODER_LIBX264) === null) {
    throw new Error('this build of node-av has no libx264 encoder');
  }
  return {
    name: 'node-av',
    encode: (frames, options) => inScratchFile(options.container, file => encodeFile(modules, frames, options, file)),
  };
}

function encodeFile(modules: Modules, frames: Frames, options: EncodeOptions, file: string): void {
  const {av, constants} = modules;
  const check = (code: number, what: string) => {
    if (code < 0) throw new Error(`node-av could not encode (${what}): ${av.FFmpegError.strerror(code)}`);
  };
  const [count, height, width] = checkFrames(frames, options);
  const encoding = encodingOf(options);
  const timeBase = rational(modules, options.fps);
  const chain = filterChain(
    av,
    `video_size=${width}x${height}:pix_fmt=${constants.AV_PIX_FMT_RGB24}:time_base=${timeBase.num}/${timeBase.den}`,
    encoding.filters,
  );
  const {sink} = chain;
  const format = new av.FormatContext();
  const codec = new av.CodecContext();
  const [input, output, packet] = [new av.Frame(), new av.Frame(), new av.Packet()];
  try {
    output.alloc();
    packet.alloc();
    check(format.allocOutputContext2(null, options.container, file), 'container');
    const encoder = av.Codec.findEncoderByName(
      encoding.codec === 'libx264' ? constants.FF_ENCODER_LIBX264 : constants.FF_ENCODER_LIBVPX_VP9,
    );
    if (encoder === null) throw new Error(`this build of node-av has no ${encoding.codec} encoder`);
    codec.allocContext3(encoder);
    codec.width = sink.buffersinkGetWidth();
    codec.height = sink.buffersinkGetHeight();
    codec.pixelFormat = sink.buffersinkGetFormat() as CodecContext['pixelFormat'];
    codec.timeBase = timeBase;
    codec.framerate = new av.Rational(timeBase.den, timeBase.num);
    codec.gopSize = encoding.gop;
    codec.maxBFrames = 0;
    codec.threadCount = 1; // the same bytes on any machine
    codec.colorSpace = constants.AVCOL_SPC_SMPTE170M;
    codec.colorRange = constants.AVCOL_RANGE_MPEG;
    codec.setFlags(constants.AV_CODEC_FLAG_BITEXACT);
    if (options.container === 'mp4') codec.setFlags(constants.AV_CODEC_FLAG_GLOBAL_HEADER);
    setOptions(modules, codec, encoding.options);
    check(codec.open2Sync(encoder, null), encoding.codec);
    const stream = format.newStream(null);
    check(stream.codecpar.fromContext(codec), 'stream');
    stream.timeBase = timeBase;
    stream.avgFrameRate = new av.Rational(timeBase.den, timeBase.num);
    format.setFlags(constants.AVFMT_FLAG_BITEXACT);
    if (options.comment !== undefined) format.metadata = av.Dictionary.fromObject({comment: options.comment});
    check(format.openOutputSync(), 'open');
    setOptions(modules, format, encoding.muxer);
    check(format.writeHeaderSync(null), 'header');
    const drain = () => {
      while (codec.receivePacketSync(packet) >= 0) {
        packet.streamIndex = stream.index;
        packet.rescaleTs(timeBase, stream.timeBase);
        check(format.interleavedWriteFrameSync(packet), 'packet');
        packet.unref();
      }
    };
    const size = width * height * 3;
    for (let n = 0; n < count; n++) {
      input.alloc();
      input.format = constants.AV_PIX_FMT_RGB24;
      input.width = width;
      input.height = height;
      check(input.getBuffer(), 'buffer');
      copyInto(input, frames.data.subarray(n * size, (n + 1) * size), width * 3);
      input.pts = BigInt(n);
      check(filterFrame(chain, input, output), 'filter');
      input.free();
      output.pts = BigInt(n);
      output.pictType = constants.AV_PICTURE_TYPE_NONE;
      check(codec.sendFrameSync(output), 'encode');
      output.unref();
      drain();
    }
    check(codec.sendFrameSync(null), 'flush');
    drain();
    check(format.writeTrailerSync(), 'trailer');
    format.closeOutputSync();
  } finally {
    for (const frame of [input, output]) frame.free();
    packet.free();
    codec.freeContext();
    format.freeContext();
    chain.graph.free();
  }
}

/**
 * Copies an RGB frame into the frame's own memory. `fromBuffer` would only point at ours, which may be gone when the
 * filters read it.
 */
function copyInto(frame: Frame, rgb: Uint8Array, rowBytes: number): void {
  const [plane] = frame.data ?? [];
  const [pitch = 0] = frame.linesize;
  if (plane === undefined || pitch < rowBytes) throw new Error('node-av gave no memory for a frame');
  for (let from = 0, to = 0; from < rgb.length; from += rowBytes, to += pitch)
    plane.set(rgb.subarray(from, from + rowBytes), to);
}

/** Seconds per frame as a fraction; rates such as 30000/1001 come out exact to a microframe. */
function rational({av}: Modules, fps: number): InstanceType<Modules['av']['Rational']> {
  const den = Number.isInteger(fps) ? 1 : Math.abs(fps * 1.001 - Math.round(fps * 1.001)) < 1e-6 ? 1001 : 1000;
  return new av.Rational(den, Math.round(fps * den));
}
