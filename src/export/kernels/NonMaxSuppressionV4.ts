// NonMaxSuppressionV4, padded to its largest output: without padding the size of the result would depend on the data.
import {UserError} from '../../platform/user_error.ts';
import {value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const nonMaxSuppressionV4: KernelSpec = {
  kernel: 'NonMaxSuppressionV4',
  infer(_, attributes) {
    if (!attributes.flag('padToMaxOutputSize')) {
      throw new UserError(
        'NonMaxSuppressionV4 can be exported to ONNX only with padToMaxOutputSize: its shape depends on the data otherwise.',
      );
    }
    return [
      {shape: [attributes.number('maxOutputSize')], dtype: 'int32'},
      {shape: [], dtype: 'int32'},
    ];
  },
  emit(e, node) {
    const {attributes} = node;
    const most = attributes.number('maxOutputSize');
    const boxes = e.op('Unsqueeze', [e.name(value(node, 'boxes')), e.build.ints([0])]);
    const scores = e.op('Unsqueeze', [e.name(value(node, 'scores')), e.build.ints([0, 1])]);
    const thresholds = [attributes.number('iouThreshold'), attributes.number('scoreThreshold')].map(v =>
      e.build.literal('float32', [1], [v]),
    );
    const found = e.op('NonMaxSuppression', [boxes, scores, e.build.ints([most]), ...thresholds]); // [k, 3]
    const picked = e.op('Gather', [found, e.build.scalar(2, 'int64')], {axis: 1});
    const padded = e.op('Concat', [picked, e.build.ints(new Array<number>(most).fill(0))], {axis: 0});
    const cut = e.op('Slice', [padded, e.build.ints([0]), e.build.ints([most]), e.build.ints([0])]);
    e.set(node.outputs[0]!, e.cast(cut, 'int32'));
    const count = e.op('Gather', [e.op('Shape', [picked]), e.build.scalar(0, 'int64')], {axis: 0});
    e.set(node.outputs[1]!, e.cast(count, 'int32'));
  },
};
