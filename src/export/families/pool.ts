// Pooling and its gradients. Windows are cut out by a convolution with one-hot filters, one filter for each place of the window,
// and put back by its transpose: the gradient of a maximum is a mask over those places.
import * as tf from '../../tf.ts';
import type {Attributes} from '../attributes.ts';
import type {OnnxAttribute} from '../builder.ts';
import {splatOf} from '../constants.ts';
import type {Dim} from '../dims.ts';
import type {Emitter} from '../emitter.ts';
import type {GraphNode, GraphValue} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst, identityPerm} from '../layout.ts';
import {type Pad2d, padOf, roundingOf} from './convolution.ts';
import {asFloat, fixed, input, timesDims, value} from './shapes.ts';

export interface PoolGeometry {
  readonly size: number[];
  readonly strides: number[];
  readonly dilations: number[];
  readonly pads: number[];
}

type Spatial = 2 | 3;

export function poolGeometry(
  spatial: Spatial,
  x: readonly number[],
  attributes: Attributes,
): PoolGeometry & {outShape: number[]} {
  const size = attributes.numbers('filterSize');
  const strides = attributes.numbers('strides');
  const pad: Pad2d = padOf(attributes);
  if (spatial === 3) {
    if (typeof pad === 'object') throw new TypeError('A 3-D pooling takes no list of paddings.');
    const three = (v: number[]): [number, number, number] => [v[0]!, v[1] ?? v[0]!, v[2] ?? v[0]!];
    const info = tf.backend_util.computePool3DInfo(
      x as [number, number, number, number, number],
      three(size),
      three(strides),
      1,
      pad,
      roundingOf(attributes),
      'NDHWC',
    );
    const p = info.padInfo;
    return {
      outShape: info.outShape,
      size: three(size),
      strides: three(strides),
      dilations: [1, 1, 1],
      pads: [p.front, p.top, p.left, p.back, p.bottom, p.right],
    };
  }
  const two = (v: number[]): [number, number] => [v[0]!, v[1] ?? v[0]!];
  const info = tf.backend_util.computePool2DInfo(
    x as [number, number, number, number],
    two(size),
    two(strides),
    1,
    pad,
    roundingOf(attributes),
    'channelsLast',
  );
  const p = info.padInfo;
  return {
    outShape: info.outShape,
    size: two(size),
    strides: two(strides),
    dilations: [1, 1],
    pads: [p.top, p.left, p.bottom, p.right],
  };
}

function poolAttributes(g: PoolGeometry): Record<string, OnnxAttribute> {
  return {kernel_shape: g.size, strides: g.strides, pads: g.pads};
}

export function nodeGeometry(e: Emitter, node: GraphNode, spatial: Spatial, x: GraphValue): PoolGeometry {
  return e.same(node, 'padding', k => {
    const {outShape: _, ...g} = poolGeometry(spatial, x.samples[k]!, node.attributes);
    return g;
  });
}

export function pool(kernel: string, op: 'MaxPool' | 'AveragePool', spatial: Spatial): KernelSpec {
  return {
    kernel,
    infer(inputs, attributes) {
      const x = input(inputs, 'x');
      return {shape: poolGeometry(spatial, x.shape, attributes).outShape, dtype: x.dtype};
    },
    emit(e, node) {
      const x = value(node, 'x');
      const perm = channelsFirst(x.shape.length);
      const attributes = poolAttributes(nodeGeometry(e, node, spatial, x));
      if (node.attributes.raw('dimRoundingMode') === 'ceil') attributes.ceil_mode = 1;
      const y = e.op(op, [asFloat(e, e.name(x, perm), x.dtype)], attributes);
      e.set(node.outputs[0]!, x.dtype === 'int32' ? e.cast(y, 'int32') : y, perm);
    },
  };
}

/** The gradient of an average: dy spread evenly over each window. */
export function averagePoolGradient(kernel: string, spatial: Spatial): KernelSpec {
  return {
    kernel,
    infer: inputs => ({shape: input(inputs, 'input').shape, dtype: input(inputs, 'input').dtype}),
    emit(e, node) {
      const x = value(node, 'input');
      const dy = value(node, 'dy');
      const perm = channelsFirst(x.shape.length);
      const g = nodeGeometry(e, node, spatial, x);
      const channels = fixed(e, node, x.shape[spatial + 1], 'channels');
      const places = g.size.reduce((a, b) => a * b, 1);
      const weights = e.constant(splatOf('float32', [channels, 1, ...g.size], 1 / places));
      e.set(node.outputs[0]!, putBack(e, node, e.name(dy, perm), weights, g, dy, x, channels), perm);
    },
  };
}

/** The gradient of a maximum: dy goes to the place that holds it; of equal ones to the first, in 3-D to the last, as the cpu engine has it. */
export function maxPoolGradient(kernel: string, spatial: Spatial): KernelSpec {
  return {
    kernel,
    infer: inputs => ({shape: input(inputs, 'input').shape, dtype: input(inputs, 'input').dtype}),
    emit(e, node) {
      const x = value(node, 'input');
      const dy = value(node, 'dy');
      const g = nodeGeometry(e, node, spatial, x);
      const mask = maximumPlace(e, windows(e, x, g), g, 1, spatial === 3 ? 'last' : 'first');
      const flat = e.reshape(e.name(dy, channelsFirst(dy.shape.length)), flatChannels(dy));
      e.set(
        node.outputs[0]!,
        scatterWindows(e, node, e.op('Mul', [mask, flat]), g, dy, x),
        channelsFirst(x.shape.length),
      );
    },
  };
}

/** [N * C, 1, spatial...] of a channels-last value. */
export function flatChannels(v: GraphValue): Dim[] {
  const last = v.shape.length - 1;
  return [timesDims([v.shape[0]!, v.shape[last]!]), 1, ...v.shape.slice(1, last)];
}

function oneHotFilters(e: Emitter, size: readonly number[]): string {
  const places = size.reduce((a, b) => a * b, 1);
  const values = new Array<number>(places * places).fill(0);
  for (let p = 0; p < places; p++) values[p * places + p] = 1;
  return e.build.literal('float32', [places, 1, ...size], values);
}

const belowAll = -3.4e38; // not infinity: the convolution multiplies it by zero

/** The windows of x as [N * C, places of the window, out...]; padding counts as lower than any number. */
export function windows(e: Emitter, x: GraphValue, g: PoolGeometry): string {
  const flat = e.reshape(asFloat(e, e.name(x, channelsFirst(x.shape.length)), x.dtype), flatChannels(x));
  const half = g.pads.length / 2;
  const pads = [0, 0, ...g.pads.slice(0, half), 0, 0, ...g.pads.slice(half)];
  const padded = g.pads.some(p => p > 0) ? e.op('Pad', [flat, e.build.ints(pads), e.build.scalar(belowAll)]) : flat;
  return e.op('Conv', [padded, oneHotFilters(e, g.size)], {
    kernel_shape: g.size,
    strides: g.strides,
    dilations: g.dilations,
  });
}

/** 1 at the first (or last) maximum along `axis`, which holds the places of the window; 0 elsewhere. */
export function maximumPlace(e: Emitter, data: string, g: PoolGeometry, axis: number, which: 'first' | 'last'): string {
  const places = g.size.reduce((a, b) => a * b, 1);
  const at = e.op('ArgMax', [data], {axis, keepdims: 0, select_last_index: which === 'last' ? 1 : 0});
  return e.op('OneHot', [at, e.build.scalar(places, 'int64'), e.build.literal('float32', [2], [0, 1])], {axis});
}

/** Adds [N * C, places, out...] back to where the windows came from; the result is stored channels first. */
export function scatterWindows(
  e: Emitter,
  node: GraphNode,
  data: string,
  g: PoolGeometry,
  dy: GraphValue,
  x: GraphValue,
): string {
  const flat = putBack(e, node, data, oneHotFilters(e, g.size), g, dy, x, 1);
  const last = x.shape.length - 1;
  return e.reshape(flat, [x.shape[0]!, x.shape[last]!, ...x.shape.slice(1, last)]);
}

function putBack(
  e: Emitter,
  node: GraphNode,
  data: string,
  weights: string,
  g: PoolGeometry,
  dy: GraphValue,
  x: GraphValue,
  group: number,
): string {
  const spatial = identityPerm(g.size.length);
  const outputPadding = e.same(node, 'padding', k =>
    spatial.map(d => {
      const reach = (dy.samples[k]![d + 1]! - 1) * g.strides[d]! + (g.size[d]! - 1) * g.dilations[d]! + 1;
      return x.samples[k]![d + 1]! + g.pads[d]! + g.pads[d + g.size.length]! - reach;
    }),
  );
  // A window may leave more rows uncovered than ConvTranspose's output padding can add (it must be below the stride): pad instead.
  const cut = e.op('ConvTranspose', [data, weights], {
    kernel_shape: g.size,
    strides: g.strides,
    dilations: g.dilations,
    group,
  });
  const half = g.size.length;
  const ends = spatial.map(d => outputPadding[d]! - g.pads[d + half]!);
  const pads = [0, 0, ...g.pads.slice(0, half).map(p => -p), 0, 0, ...ends];
  return pads.every(p => p === 0) ? cut : e.op('Pad', [cut, e.build.ints(pads)]);
}
