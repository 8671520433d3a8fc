// What this engine uses of tfjs-node's backend object: TensorFlow's eager operations by name.
import type * as tf from '../../tf.ts';

/** An attribute of a TensorFlow operation; `type` is one of the binding's TF_ATTR_* numbers. */
export interface OpAttribute {
  name: string;
  type: number;
  value: boolean | number | string | readonly number[];
}

export interface NodeBackend {
  readonly binding: {
    /** Makes a tensor of TensorFlow's and returns its number. */
    createTensor(shape: number[], type: number, values: ArrayLike<number>): number;
    readonly TF_Version: string;
    readonly TF_FLOAT: number;
    readonly TF_INT32: number;
    readonly TF_BOOL: number;
    readonly TF_ATTR_INT: number;
    readonly TF_ATTR_BOOL: number;
    readonly TF_ATTR_STRING: number;
    readonly TF_ATTR_TYPE: number;
  };
  readonly isUsingGpuDevice: boolean;
  /** Runs one operation and registers its output as a tensor. */
  executeSingleOutput(name: string, attributes: OpAttribute[], inputs: tf.TensorInfo[]): tf.TensorInfo;
}

/** Whether `backend` is tfjs-node's, by what it can do: the class is the package's own. */
export function isNodeBackend(backend: object): backend is NodeBackend {
  return (
    'executeSingleOutput' in backend &&
    typeof backend.executeSingleOutput === 'function' &&
    'isUsingGpuDevice' in backend &&
    'binding' in backend &&
    typeof backend.binding === 'object'
  );
}
