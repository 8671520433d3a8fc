// What the exporter knows about one TensorFlow.js kernel: the shapes of its outputs and its ONNX form.
import type * as tf from '../tf.ts';
import type {Attributes} from './attributes.ts';
import type {Constant} from './constants.ts';
import type {Emitter} from './emitter.ts';
import type {GraphNode} from './graph.ts';

export interface TensorShape {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  /** The value, where it follows from constants alone. */
  constant?(): Constant | undefined;
}

export type InferredInputs = Readonly<Record<string, TensorShape>>;

export interface KernelSpec {
  readonly kernel: string;
  /** Whether it takes or gives complex64, stored with a last dimension of two; others never see it. */
  readonly complex?: boolean;
  /** Shapes and types of the outputs; a list where the kernel gives a list. */
  infer(inputs: InferredInputs, attributes: Attributes): TensorShape | TensorShape[];
  /** Adds the ONNX nodes and sets the node's outputs. */
  emit(emitter: Emitter, node: GraphNode): void;
}
