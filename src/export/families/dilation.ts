// Grey-scale dilation: the maximum over a window of x plus the filter.
import * as tf from '../../tf.ts';
import type {Attributes} from '../attributes.ts';
import type {Emitter} from '../emitter.ts';
import type {GraphNode} from '../graph.ts';
import {padOf} from './convolution.ts';
import {maximumPlace, type PoolGeometry, windows} from './pool.ts';
import {fixed, reordered, value} from './shapes.ts';

export function dilationGeometry(
  x: readonly number[],
  filter: readonly number[],
  attributes: Attributes,
): PoolGeometry & {outShape: number[]} {
  const pad = padOf(attributes);
  if (typeof pad === 'object') throw new TypeError('A dilation takes no list of paddings.');
  const two = (key: string): [number, number] => {
    const v = attributes.has(key) ? attributes.numbers(key) : [1];
    return [v[0]!, v[1] ?? v[0]!];
  };
  const info = tf.backend_util.computeDilation2DInfo(
    x as [number, number, number, number],
    filter as [number, number, number],
    two('strides'),
    pad,
    'NHWC',
    two('dilations'),
  );
  const p = info.padInfo;
  return {
    outShape: info.outShape,
    size: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    pads: [p.top, p.left, p.bottom, p.right],
  };
}

export function geometryOf(e: Emitter, node: GraphNode): PoolGeometry {
  const [x, filter] = [value(node, 'x'), value(node, 'filter')];
  return e.same(node, 'padding', k => {
    const {outShape: _, ...g} = dilationGeometry(x.samples[k]!, filter.samples[k]!, node.attributes);
    return g;
  });
}

/** x plus the filter at each place of each window: [N, C, places, H, W]. */
export function candidates(e: Emitter, node: GraphNode, g: PoolGeometry): string {
  const [x, filter] = [value(node, 'x'), value(node, 'filter')];
  const channels = fixed(e, node, x.shape[3], 'channels');
  const places = g.size[0]! * g.size[1]!;
  const cut = e.op('Reshape', [
    windows(e, x, g),
    e.op('Concat', [e.dim(x.shape[0]!), e.build.ints([channels, places]), spatialSize(e, node)], {axis: 0}),
  ]);
  return e.op('Add', [cut, reordered(e, filter, [2, 0, 1], [channels, places, 1, 1])]);
}

function spatialSize(e: Emitter, node: GraphNode): string {
  const of = node.inputs.dy ?? node.outputs[0]!;
  return e.shapeTensor(of.shape.slice(1, 3));
}

/** dy at the first largest candidate of each window: [N, C, places, H, W]. */
export function routedGradient(e: Emitter, node: GraphNode, g: PoolGeometry): string {
  const mask = maximumPlace(e, candidates(e, node, g), g, 2, 'first');
  const dy = e.op('Unsqueeze', [e.name(value(node, 'dy'), [0, 3, 1, 2]), e.build.ints([2])]);
  return e.op('Mul', [mask, dy]);
}
