// Convolutions of 2 and 3 spatial dimensions: channels first inside, filters reordered in the initializer.

import {UserError} from '../../platform/user_error.ts';
import * as tf from '../../tf.ts';
import type {Attributes} from '../attributes.ts';
import type {OnnxAttribute} from '../builder.ts';
import type {Dim} from '../dims.ts';
import type {Emitter} from '../emitter.ts';
import type {GraphNode} from '../graph.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst, identityPerm, type Perm} from '../layout.ts';
import {activate} from './activation.ts';
import {fixed, input, reordered, value} from './shapes.ts';

export interface ConvGeometry {
  readonly outShape: number[];
  readonly strides: number[];
  readonly dilations: number[];
  /** Begin of each spatial dimension, then the ends: as ONNX has it. */
  readonly pads: number[];
}

type Spatial = 2 | 3;

function pairOf(attributes: Attributes, key: string): [number, number] | number {
  if (!attributes.has(key)) return 1;
  const v = attributes.numbers(key);
  return v.length === 1 ? v[0]! : [v[0]!, v[1]!];
}

function tripleOf(attributes: Attributes, key: string): [number, number, number] | number {
  if (!attributes.has(key)) return 1;
  const v = attributes.numbers(key);
  return v.length === 1 ? v[0]! : [v[0]!, v[1]!, v[2]!];
}

export type Pad2d = number | 'valid' | 'same' | tf.backend_util.ExplicitPadding;

export function padOf(attributes: Attributes): Pad2d {
  const pad = attributes.raw('pad');
  if (pad === 'valid' || pad === 'same' || typeof pad === 'number') return pad;
  const pairs = attributes.pairs('pad');
  if (pairs.length !== 4) throw new TypeError(`A padding has ${pairs.length} pairs; 4 were expected.`);
  return pairs as tf.backend_util.ExplicitPadding;
}

export function roundingOf(attributes: Attributes): 'floor' | 'round' | 'ceil' | undefined {
  const mode = attributes.has('dimRoundingMode') ? attributes.text('dimRoundingMode') : undefined;
  return mode === 'floor' || mode === 'round' || mode === 'ceil' ? mode : undefined;
}

/** The geometry of a convolution over channels-last x, as TensorFlow.js computes it. */
export function geometry(
  spatial: Spatial,
  depthwise: boolean,
  x: readonly number[],
  filter: readonly number[],
  attributes: Attributes,
): ConvGeometry {
  const first = attributes.has('dataFormat') && attributes.text('dataFormat').startsWith('NC');
  if (spatial === 3) {
    const pad = attributes.text('pad');
    if (pad !== 'same' && pad !== 'valid')
      throw new TypeError(`A 3-D convolution's pad is "same" or "valid", not ${pad}.`);
    const info = tf.backend_util.computeConv3DInfo(
      x as [number, number, number, number, number],
      filter as [number, number, number, number, number],
      tripleOf(attributes, 'strides'),
      tripleOf(attributes, 'dilations'),
      pad,
      false,
      first ? 'channelsFirst' : 'channelsLast',
    );
    const p = info.padInfo;
    if ([p.front, p.top, p.left, p.back, p.bottom, p.right].some(v => v < 0)) {
      throw new UserError(
        'A 3-D convolution with "same" padding whose stride is larger than its filter means different things to different engines; use "valid".',
      );
    }
    return {
      outShape: info.outShape,
      strides: [info.strideDepth, info.strideHeight, info.strideWidth],
      dilations: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
      pads: [p.front, p.top, p.left, p.back, p.bottom, p.right],
    };
  }
  const info = tf.backend_util.computeConv2DInfo(
    x as [number, number, number, number],
    filter as [number, number, number, number],
    pairOf(attributes, 'strides'),
    pairOf(attributes, 'dilations'),
    padOf(attributes),
    roundingOf(attributes),
    depthwise,
    first ? 'channelsFirst' : 'channelsLast',
  );
  const p = info.padInfo;
  return {
    outShape: info.outShape,
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    pads: [p.top, p.left, p.bottom, p.right],
  };
}

export function convAttributes(g: ConvGeometry, kernel: readonly number[], group = 1): Record<string, OnnxAttribute> {
  return {kernel_shape: kernel, strides: g.strides, dilations: g.dilations, pads: g.pads, group};
}

/** Where the channels of a convolution's x and y lie: moved to the front unless the kernel has them there. */
export function convPerm(attributes: Attributes, rank: number): Perm {
  const first = attributes.has('dataFormat') && attributes.text('dataFormat').startsWith('NC');
  return first ? identityPerm(rank) : channelsFirst(rank);
}

/** Filter dimensions [k..., in, out] as [out, in, k...]. */
export function filterPerm(spatial: Spatial): Perm {
  return [spatial + 1, spatial, ...identityPerm(spatial)];
}

export interface ConvForm {
  readonly spatial: Spatial;
  readonly depthwise?: boolean;
  readonly fused?: boolean;
}

export function convolution(kernel: string, form: ConvForm): KernelSpec {
  const {spatial, depthwise = false, fused = false} = form;
  return {
    kernel,
    infer(inputs, attributes) {
      const x = input(inputs, 'x');
      return {
        shape: geometry(spatial, depthwise, x.shape, input(inputs, 'filter').shape, attributes).outShape,
        dtype: x.dtype,
      };
    },
    emit(e, node) {
      const x = value(node, 'x');
      const filter = value(node, 'filter');
      const perm = convPerm(node.attributes, x.shape.length);
      const operands = [e.name(x, perm), filterName(e, node, spatial, depthwise)];
      const bias = fused ? node.inputs.bias : undefined;
      const direct = bias?.shape.length === 1 && perm[1] === x.shape.length - 1;
      if (bias && direct) operands.push(e.name(bias));
      const g = e.same(node, 'padding', k =>
        withoutShape(geometry(spatial, depthwise, x.samples[k]!, filter.samples[k]!, node.attributes)),
      );
      const size = filter.samples[0]!.slice(0, spatial);
      const group = depthwise ? fixed(e, node, filter.shape[2], 'channels') : 1;
      let y = e.op('Conv', operands, convAttributes({...g, outShape: []}, size, group));
      if (bias && !direct) {
        const shape = [bias.samples[0]!.reduce((a, b) => a * b, 1), 1, 1];
        y = e.op('Add', [y, reordered(e, bias, identityPerm(bias.shape.length), shape)]);
      }
      if (fused) y = activate(e, node, y, x.shape.length, perm);
      e.set(node.outputs[0]!, y, perm);
    },
  };
}

export function withoutShape(g: ConvGeometry): Omit<ConvGeometry, 'outShape'> {
  return {strides: g.strides, dilations: g.dilations, pads: g.pads};
}

/** The filter as ONNX wants it: [out, in, k...], or [in * multiplier, 1, k...] for a depthwise one. */
export function filterName(e: Emitter, node: GraphNode, spatial: Spatial, depthwise: boolean): string {
  const filter = value(node, 'filter');
  if (!depthwise) return e.name(filter, filterPerm(spatial));
  const [kh, kw, channels, multiplier] = filter.samples[0]!;
  return reordered(e, filter, [2, 3, 0, 1], [channels! * multiplier!, 1, kh!, kw!]);
}

/** The attributes of the ConvTranspose that is the gradient by the input, for a wanted spatial size. */
export function transposedAttributes(
  e: Emitter,
  node: GraphNode,
  spatial: Spatial,
  depthwise: boolean,
  group: number,
): Record<string, OnnxAttribute> {
  const dy = value(node, 'dy');
  const filter = value(node, 'filter');
  const first = convPerm(node.attributes, dy.shape.length)[1] === 1;
  const begin = first ? 2 : 1;
  const wanted = node.outputs[0]!;
  const g = e.same(node, 'padding', k => {
    const found = geometry(spatial, depthwise, wanted.samples[k]!, filter.samples[k]!, node.attributes);
    const outputPadding = found.strides.map((stride, d) => {
      const covered =
        (dy.samples[k]![begin + d]! - 1) * stride +
        (filter.samples[k]![d]! - 1) * found.dilations[d]! +
        1 -
        found.pads[d]! -
        found.pads[spatial + d]!;
      return wanted.samples[k]![begin + d]! - covered;
    });
    return {...withoutShape(found), outputPadding};
  });
  const {outputPadding, ...rest} = g;
  return {
    ...convAttributes({...rest, outShape: []}, filter.samples[0]!.slice(0, spatial), group),
    output_padding: outputPadding,
  };
}

export function convInputGradient(kernel: string, spatial: Spatial, depthwise = false): KernelSpec {
  return {
    kernel,
    infer: (inputs, attributes) => ({shape: attributes.numbers('inputShape'), dtype: input(inputs, 'dy').dtype}),
    emit(e, node) {
      const dy = value(node, 'dy');
      const perm = convPerm(node.attributes, dy.shape.length);
      const group = depthwise ? fixed(e, node, value(node, 'filter').shape[2], 'channels') : 1;
      const attributes = transposedAttributes(e, node, spatial, depthwise, group);
      e.set(
        node.outputs[0]!,
        e.op('ConvTranspose', [e.name(dy, perm), filterName(e, node, spatial, depthwise)], attributes),
        perm,
      );
    },
  };
}

/** The gradient by the filter is a convolution of x by dy, batch and channels exchanged, strides and dilations exchanged. */
export function convFilterGradient(kernel: string, spatial: Spatial, depthwise = false): KernelSpec {
  return {
    kernel,
    infer: (inputs, attributes) => ({shape: attributes.numbers('filterShape'), dtype: input(inputs, 'x').dtype}),
    emit(e, node) {
      const x = value(node, 'x');
      const dy = value(node, 'dy');
      const output = node.outputs[0]!;
      const filter = output.samples[0]!;
      const rank = spatial + 2;
      const g = e.same(node, 'padding', k =>
        withoutShape(geometry(spatial, depthwise, x.samples[k]!, filter, node.attributes)),
      );
      const channelsAndBatch = [rank - 1, 0, ...identityPerm(spatial).map(d => d + 1)];
      let image = e.name(x, channelsAndBatch);
      const weights = e.name(dy, channelsAndBatch);
      const channels = fixed(e, node, x.shape[rank - 1], 'channels');
      if (depthwise) {
        const size: Dim[] = x.shape.slice(1, rank - 1);
        image = e.reshape(image, [1, channels * fixed(e, node, x.shape[0], 'batch'), ...size]);
      }
      const full = e.op('Conv', [image, weights], {
        strides: g.dilations,
        dilations: g.strides,
        pads: g.pads,
        group: depthwise ? channels : 1,
      });
      const ends = filter.slice(0, spatial);
      const axes = identityPerm(spatial).map(d => d + 2);
      const cut = e.op('Slice', [full, e.build.ints(ends.map(() => 0)), e.build.ints(ends), e.build.ints(axes)]);
      const order = [spatial, spatial + 1, ...identityPerm(spatial)];
      const result = depthwise ? e.reshape(cut, [channels, filter[3]!, ...ends]) : cut;
      e.set(output, result, order);
    },
  };
}
