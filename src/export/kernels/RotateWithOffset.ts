// RotateWithOffset: the nearest pixel of the turned image; the angle is an attribute, so every position is known beforehand.
import * as tf from '../../tf.ts';
import {fixedShape, sameAs, value} from '../families/shapes.ts';
import {sampled, samplesAt} from '../families/warp.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const rotateWithOffset: KernelSpec = {
  kernel: 'RotateWithOffset',
  infer: sameAs('image'),
  emit(e, node) {
    const image = value(node, 'image');
    const [, height, width, channels] = fixedShape(e, node, image, 'image shape') as [number, number, number, number];
    const {attributes} = node;
    const given = attributes.numbers('center');
    const center: number | [number, number] = given.length === 1 ? given[0]! : [given[0]!, given[1]!];
    const [centerX, centerY] = tf.backend_util.getImageCenter(center, height, width);
    const [sin, cos] = [Math.sin(attributes.number('radians')), Math.cos(attributes.number('radians'))];
    const points = Array.from({length: height * width}, (_, i): [number, number] => {
      const [y, x] = [Math.floor(i / width) - centerY, (i % width) - centerX];
      return [Math.round(x * sin + y * cos + centerY), Math.round(x * cos - y * sin + centerX)];
    });
    const fill = attributes.numbers('fillValue');
    const opaque = 255; // the fourth channel of a coloured fill
    const fills = fill.length === 1 ? fill : Array.from({length: channels}, (_, c) => (c === 3 ? opaque : fill[c]!));
    e.set(node.outputs[0]!, e.reshape(sampled(e, node, image, samplesAt(points, height, width), fills), image.shape));
  },
};
