// What the reader and the encoder share of node-av: a chain of filters, made and linked one by one, and setting options.
import type {FilterContext, FilterGraph, Frame, OptionCapableObject} from 'node-av/lib';

type Av = typeof import('node-av/lib');

export interface FilterChain {
  graph: FilterGraph;
  source: FilterContext;
  sink: FilterContext;
}

/**
 * `filters` is a plain chain such as `crop=8:8:0:0,format=rgb24`; `source` the arguments of FFmpeg's buffer filter.
 * @throws Error naming the filter that cannot be made. The caller frees `graph`.
 */
export function filterChain(av: Av, source: string, filters: string): FilterChain {
  const graph = new av.FilterGraph();
  graph.alloc();
  graph.setOption('threads', '1'); // the decode pool is the parallelism
  try {
    const parts = [['buffer', source], ...filters.split(',').map(part => split(part)), ['buffersink', '']] as const;
    const chain = parts.map(([name, args], n) => {
      const filter = av.Filter.getByName(name ?? '');
      if (filter === null) throw new Error(`This build of node-av has no filter "${name}".`);
      const made = graph.createFilter(filter, `${name}_${n}`, args === '' ? null : args);
      if (made === null) throw new Error(`The filter "${name}=${args}" is refused.`);
      return made;
    });
    for (const [n, filter] of chain.entries()) {
      const next = chain[n + 1];
      const linked = next === undefined ? 0 : filter.link(0, next, 0);
      if (linked < 0) throw new Error(`The filters "${filters}" cannot be joined: ${av.FFmpegError.strerror(linked)}.`);
    }
    const configured = graph.configSync();
    if (configured < 0) throw new Error(`The filters "${filters}" cannot run: ${av.FFmpegError.strerror(configured)}.`);
    return {graph, source: chain[0]!, sink: chain.at(-1)!};
  } catch (error) {
    graph.free();
    throw error;
  }
}

function split(part: string): [string, string] {
  const at = part.indexOf('=');
  return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
}

/** Sends one frame through: `frame` keeps its reference, `out` is filled. Gives FFmpeg's error code, 0 when all is well. */
export function filterFrame({source, sink}: FilterChain, frame: Frame, out: Frame): number {
  const reference = frame.clone(); // the graph takes what it is given
  if (reference === null) throw new Error('There is no memory for a video frame.');
  const sent = source.buffersrcAddFrameSync(reference);
  reference.free();
  if (sent < 0) return sent;
  out.unref();
  return Math.min(0, sink.buffersinkGetFrameSync(out));
}

/**
 * Sets FFmpeg options one by one. A Dictionary handed to an opening function is freed by it and again when collected,
 * which takes the process down.
 */
export function setOptions(
  {av, constants}: {av: Av; constants: typeof import('node-av/constants')},
  target: {getNative(): OptionCapableObject},
  options: Readonly<Record<string, string>>,
): void {
  for (const [name, value] of Object.entries(options)) {
    const set = av.Option.set(target.getNative(), name, value, constants.AV_OPT_SEARCH_CHILDREN);
    if (set < 0) throw new Error(`The option ${name}=${value} is refused: ${av.FFmpegError.strerror(set)}.`);
  }
}
