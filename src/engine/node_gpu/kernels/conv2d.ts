// tfjs-node takes conv2d's padding as 'same' or 'valid', forwards also as four numbers; a plain number (PyTorch's
// symmetric padding) it refuses, and both gradients refuse either. TensorFlow itself knows explicit paddings in all three.
import * as tf from '../../../tf.ts';
import {isNodeBackend, type NodeBackend, type OpAttribute} from '../backend.ts';
import {backendName, replaceKernel} from './replace.ts';

interface ConvAttributes extends tf.NamedAttrMap {
  strides: [number, number] | number;
  pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  dataFormat: 'NHWC' | 'NCHW';
  /** Undefined where it does not matter; the map's type has no word for that. */
  dimRoundingMode: 'floor' | 'round' | 'ceil';
}

type Shape4 = [number, number, number, number];

/** Registers conv2d, fused conv2d and the two gradients of conv2d for every kind of padding. */
export function supplyConv2D(): void {
  for (const name of ['Conv2D', 'FusedConv2D'])
    replaceKernel(name, original => args => original({...args, attrs: withExplicitPad(args.attrs as ConvAttributes)}));
  replaceKernel('Conv2DBackpropInput', original => args => {
    const {dy, filter} = args.inputs;
    const attrs = args.attrs as ConvAttributes & {inputShape: Shape4};
    const info = convInfo(attrs.inputShape, filter!.shape as Shape4, attrs);
    if (info.padInfo.type === 'SAME' || info.padInfo.type === 'VALID') return original(args);
    return explicitGradient(args.backend, 'Conv2DBackpropInput', info, info.inShape, [filter!, dy!], 0);
  });
  replaceKernel('Conv2DBackpropFilter', original => args => {
    const {x, dy} = args.inputs;
    const attrs = args.attrs as ConvAttributes & {filterShape: Shape4};
    const info = convInfo(x!.shape as Shape4, attrs.filterShape, attrs);
    if (info.padInfo.type === 'SAME' || info.padInfo.type === 'VALID') return original(args);
    return explicitGradient(args.backend, 'Conv2DBackpropFilter', info, info.filterShape, [x!, dy!], 1);
  });
}

/** A number p as p rows and columns on every side, which the original forward kernels understand. */
function withExplicitPad(attrs: ConvAttributes): ConvAttributes {
  const p = attrs.pad;
  if (typeof p !== 'number') return attrs;
  const sides: [number, number] = [p, p];
  const none: [number, number] = [0, 0];
  return {...attrs, pad: attrs.dataFormat === 'NCHW' ? [none, none, sides, sides] : [none, sides, sides, none]};
}

function convInfo(x: Shape4, filter: Shape4, {strides, pad, dimRoundingMode, dataFormat}: ConvAttributes) {
  const format = tf.backend_util.convertConv2DDataFormat(dataFormat);
  return tf.backend_util.computeConv2DInfo(x, filter, strides, 1, pad, dimRoundingMode, false, format);
}

/** Runs a gradient of Conv2D with explicit paddings; the shape it yields is an input at position `sizesAt`. */
function explicitGradient(
  backend: unknown,
  name: string,
  info: tf.backend_util.Conv2DInfo,
  sizes: number[],
  inputs: tf.TensorInfo[],
  sizesAt: number,
): tf.TensorInfo {
  const node = asNodeBackend(backend);
  const {TF_ATTR_INT, TF_ATTR_STRING, TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT} = node.binding;
  const {top, bottom, left, right} = info.padInfo;
  const nhwc = info.dataFormat === 'channelsLast';
  const spatial = [top, bottom, left, right];
  const attributes: OpAttribute[] = [
    {name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT},
    {name: 'strides', type: TF_ATTR_INT, value: inOrder(nhwc, info.strideHeight, info.strideWidth)},
    {name: 'padding', type: TF_ATTR_STRING, value: 'EXPLICIT'},
    {name: 'explicit_paddings', type: TF_ATTR_INT, value: nhwc ? [0, 0, ...spatial, 0, 0] : [0, 0, 0, 0, ...spatial]},
    {name: 'data_format', type: TF_ATTR_STRING, value: nhwc ? 'NHWC' : 'NCHW'},
    {name: 'use_cudnn_on_gpu', type: TF_ATTR_BOOL, value: true},
    {name: 'dilations', type: TF_ATTR_INT, value: inOrder(nhwc, info.dilationHeight, info.dilationWidth)},
  ];
  const sizesTensor = tf.tensor1d(sizes, 'int32');
  const all = [...inputs];
  all.splice(sizesAt, 0, sizesTensor);
  const result = node.executeSingleOutput(name, attributes, all);
  sizesTensor.dispose();
  return result;
}

const inOrder = (nhwc: boolean, h: number, w: number) => (nhwc ? [1, h, w, 1] : [1, 1, h, w]);

function asNodeBackend(backend: unknown): NodeBackend {
  if (typeof backend === 'object' && backend !== null && isNodeBackend(backend)) return backend;
  throw new Error(`A kernel of the "${backendName}" backend was called with another backend.`);
}
