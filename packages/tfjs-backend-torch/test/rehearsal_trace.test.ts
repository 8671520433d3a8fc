import {describe, expect, it} from 'vitest';
import {parseTrace, summarizeTrace} from '../scripts/rehearsal_trace.mjs';

const lines = (...events: string[]) => `${events.join('\n')}\n`;
const step = ['copy\t0\tpinned to device\t64', 'replay\t1\t3', 'wait\tstream'];
const trace = lines(
  'malloc\tdevice\t2097152',
  'malloc\tdevice\t1024',
  'free\tdevice\t2097152',
  'malloc\tpinned\t64',
  'kernel\t0\twarm\t10\tgrid 1,1,1',
  'begin\t1',
  'kernel\t1\t_ZN2at6native4fillIfEEviPf\t100\tgrid 1,1,1',
  'kernel\t1\t_ZN2at6native4fillIfEEviPf\t28\tgrid 1,1,1',
  'copy\t1\tdevice to device\t512',
  'end\t1\t3\tusable',
  ...step,
  ...step,
  ...step,
  'malloc\tdevice\t512',
  ...step,
  'begin\t2',
  'violation\tcudaMalloc while a graph is recorded',
  'error\tcudaMalloc\tcudaErrorStreamCaptureUnsupported',
  'end\t2\t0\tinvalid',
);

describe('the trace of a rehearsal', () => {
  it('counts what a graph holds, its replays, and what happens between them', () => {
    const {graphs, eager, peakBytes} = parseTrace(trace);
    expect(graphs).toHaveLength(2);
    expect(graphs[0]).toMatchObject({id: '1', nodes: 3, usable: true, replays: 4});
    expect(graphs[0]!.launches).toEqual([
      {name: '_ZN2at6native4fillIfEEviPf', count: 2, elements: 128},
      {name: 'copy, device to device', count: 1, elements: 0},
    ]);
    const usual = {'wait for stream': 1, 'copy, pinned to device': 1};
    expect(graphs[0]!.between).toEqual([
      {events: usual, times: 2},
      {events: {...usual, 'malloc, device': 1}, times: 1},
    ]);
    expect(graphs[1]).toMatchObject({usable: false, replays: 0});
    expect(eager).toMatchObject({kernel: 1, 'copy, pinned to device': 4, 'malloc, device': 3});
    expect(peakBytes).toBe(2097152 + 1024);
  });

  it('keeps what CUDA would refuse', () => {
    const {violations, errors} = parseTrace(trace);
    expect(violations).toEqual({'cudaMalloc while a graph is recorded': 1});
    expect(errors).toEqual({'cudaMalloc: cudaErrorStreamCaptureUnsupported': 1});
  });

  it('says so in words', () => {
    const words = summarizeTrace(trace);
    expect(words).toContain('Graph 1: 3 nodes, replayed 4 times');
    expect(words).toContain('between two replays, 2 times: 1 copy, pinned to device; 1 wait for stream');
    expect(words).toContain('1  cudaMalloc while a graph is recorded');
    expect(words).toMatch(/2 +128 {2}fill<float>|2 +128 {2}_ZN2at6native4fillIfEEviPf/); // the second without c++filt
  });
});
