// Resizing of images and its gradients. The gradients are products with the two matrices that resize rows and columns.
import type {Attributes} from '../attributes.ts';
import {constantOf} from '../constants.ts';
import type {KernelSpec} from '../kernel_spec.ts';
import {channelsFirst, permute} from '../layout.ts';
import {asFloat, fixed, input, value} from './shapes.ts';

function coordinates(a: Attributes): string {
  if (a.flag('alignCorners')) return 'align_corners';
  return a.flag('halfPixelCenters') ? 'half_pixel' : 'asymmetric';
}

export function resize(kernel: string, mode: 'linear' | 'nearest'): KernelSpec {
  return {
    kernel,
    infer(inputs, attributes) {
      const x = input(inputs, 'images');
      const [height, width] = attributes.numbers('size');
      return {shape: [x.shape[0]!, height!, width!, x.shape[3]!], dtype: mode === 'linear' ? 'float32' : x.dtype};
    },
    emit(e, node) {
      const x = value(node, 'images');
      const output = node.outputs[0]!;
      const perm = channelsFirst(4);
      const how = coordinates(node.attributes);
      // TensorFlow.js adds half a pixel or rounds, which is ONNX's rounding half up; else it rounds down.
      const nearest = how === 'asymmetric' ? 'floor' : 'round_prefer_ceil';
      const attributes = {
        coordinate_transformation_mode: how,
        mode,
        ...(mode === 'nearest' ? {nearest_mode: nearest} : {}),
      };
      const name = mode === 'linear' ? asFloat(e, e.name(x, perm), x.dtype) : e.name(x, perm);
      const scales = x.samples.map((s, k) => [1, 2].map(d => output.samples[k]![d]! / s[d]!));
      const [sy, sx] = scales[0]!;
      const constant =
        how !== 'align_corners' &&
        scales.every(s => s[0] === sy && s[1] === sx && Number.isInteger(sy) && Number.isInteger(sx));
      const inputs = constant
        ? [name, '', e.build.literal('float32', [4], [1, 1, sy!, sx!])]
        : [name, '', '', e.shapeTensor(permute(output.shape, perm))];
      e.set(output, e.op('Resize', inputs, attributes), perm);
    },
  };
}

/** Row i of the matrix [to, from] holds the weights with which output i takes the inputs. */
export function resizeMatrix(mode: 'linear' | 'nearest', from: number, to: number, alignCorners: boolean): number[] {
  const matrix = new Array<number>(to * from).fill(0);
  const scale = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
  for (let i = 0; i < to; i++) {
    const at = i * scale;
    if (mode === 'nearest') {
      matrix[i * from + Math.min(from - 1, alignCorners ? Math.round(at) : Math.floor(at))]! += 1;
      continue;
    }
    const low = Math.floor(at);
    const high = Math.min(Math.ceil(at), from - 1);
    matrix[i * from + low]! += 1 - (at - low);
    matrix[i * from + high]! += at - low;
  }
  return matrix;
}

export function resizeGradient(kernel: string, mode: 'linear' | 'nearest'): KernelSpec {
  return {
    kernel,
    infer: inputs => ({shape: input(inputs, 'images').shape, dtype: 'float32'}),
    emit(e, node) {
      const [x, dy] = [value(node, 'images'), value(node, 'dy')];
      const align = node.attributes.flag('alignCorners');
      const perm = channelsFirst(4);
      const [rows, columns] = [1, 2].map(d => {
        const [from, to] = [fixed(e, node, x.shape[d], 'image size'), fixed(e, node, dy.shape[d], 'image size')];
        return {from, to, matrix: resizeMatrix(mode, from, to, align)};
      }) as [Matrix, Matrix];
      const left = e.constant(constantOf('float32', [rows.to, rows.from], rows.matrix), [rows.from, rows.to], [1, 0]);
      const right = e.constant(constantOf('float32', [columns.to, columns.from], columns.matrix));
      e.set(node.outputs[0]!, e.op('MatMul', [e.op('MatMul', [left, e.name(dy, perm)]), right]), perm);
    },
  };
}

interface Matrix {
  readonly from: number;
  readonly to: number;
  readonly matrix: number[];
}
