// The activations that TensorFlow.js fuses into convolutions and matrix products.
import type {Emitter} from '../emitter.ts';
import type {GraphNode} from '../graph.ts';
import type {Perm} from '../layout.ts';

/** Applies the node's `activation` attribute to stored data of `rank` dimensions in order `perm`. */
export function activate(e: Emitter, node: GraphNode, name: string, rank: number, perm: Perm): string {
  const activation = node.attributes.text('activation', 'linear');
  switch (activation) {
    case 'linear':
      return name;
    case 'relu':
      return e.op('Relu', [name]);
    case 'relu6':
      return e.op('Clip', [name, e.build.scalar(0), e.build.scalar(6)]);
    case 'elu':
      return e.op('Elu', [name]);
    case 'sigmoid':
      return e.op('Sigmoid', [name]);
    case 'leakyrelu':
      return e.op('LeakyRelu', [name], {alpha: {float: node.attributes.number('leakyreluAlpha', 0.2)}});
    case 'prelu': {
      const slope = node.inputs.preluActivationWeights;
      if (!slope) return e.fail(node, 'its prelu activation has no weights');
      return e.op('PRelu', [name, e.operand(slope, rank, perm)]);
    }
    default:
      return e.fail(node, `its activation "${activation}" has no ONNX form here`);
  }
}
