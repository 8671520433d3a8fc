/** Kernels of one name. */
export interface Launches {
  name: string;
  count: number;
  /** How many elements they write together, as far as they say so. */
  elements: number;
}
export interface GraphTrace {
  id: string;
  nodes: number;
  usable: boolean;
  replays: number;
  launches: Launches[];
  /** What happened outside graphs from one replay to the next, how often just that, commonest first. */
  between: {events: Record<string, number>; times: number}[];
}
export interface Trace {
  violations: Record<string, number>;
  errors: Record<string, number>;
  missing: Record<string, number>;
  /** Most device memory allocated at once, bytes. */
  peakBytes: number;
  /** What happened outside graphs. */
  eager: Record<string, number>;
  graphs: GraphTrace[];
}
export function parseTrace(text: string): Trace;
/** The same in words, one thing a line. */
export function summarizeTrace(text: string): string;
