// Writes an OnnxModel: one protobuf file, and beside it a file of raw weights where they would not fit in 2 GB of protobuf.
// Weights are produced, written and forgotten one after another.
import {open, rename, rm, writeFile} from 'node:fs/promises';
import {basename} from 'node:path';
import {create, toBinary} from '@bufbuild/protobuf';
import {UserError} from '../platform/user_error.ts';
import {f32ToF16} from '../weights/half.ts';
import {type OnnxAttribute, type OnnxInitializer, type OnnxType, type OnnxValueInfo, onnxDataType} from './builder.ts';
import {sizeOf} from './constants.ts';
import {dimName, isSymbolic} from './dims.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './proto/onnx_pb.ts';
import type {OnnxModel} from './to_onnx.ts';

export interface WriteOptions {
  /** Weights go to PATH.data when all of them together are larger than this; protobuf itself ends at 2 GB. */
  readonly externalAbove?: number;
}

export interface WrittenOnnx {
  /** The model file and, where there is one, the file of weights, which must stay beside it. */
  readonly files: readonly string[];
  readonly bytes: number;
}

const protobufLimit = 2 ** 31 - 2 ** 24; // room for the graph itself
const keptInside = 1024; // bytes: constants that a checker may want to read, such as shapes, stay in the graph
const alignment = 4096; // so that a runtime can map the weights

const bytesPer: Readonly<Record<OnnxType, number>> = {float32: 4, int32: 4, int64: 8, bool: 1, float16: 2, string: 0};

function byteLength(initializer: OnnxInitializer): number {
  return sizeOf(initializer.constant.shape) * bytesPer[initializer.stored];
}

/** The little-endian bytes of an initializer, as they are stored. */
export function initializerBytes({name, constant, stored}: OnnxInitializer): Uint8Array {
  const loaded = constant.load();
  const expected = sizeOf(constant.shape);
  if (loaded.length !== expected) {
    throw new UserError(
      `Weight "${name}" has ${loaded.length} values; its shape [${constant.shape}] holds ${expected}.`,
    );
  }
  const data = stored === 'float16' && loaded instanceof Float32Array ? f32ToF16(loaded) : loaded;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function tensorProto(initializer: OnnxInitializer): TensorProto {
  return create(TensorProtoSchema, {
    name: initializer.name,
    dims: initializer.constant.shape.map(BigInt),
    dataType: onnxDataType[initializer.stored],
  });
}

/** The whole model as one protobuf message, weights included. Throws UserError where it would be larger than 2 GB. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const bytes = model.initializers.reduce((sum, i) => sum + byteLength(i), 0);
  if (bytes > protobufLimit)
    throw new UserError(
      `The model's weights are ${bytes} bytes; above 2 GB they need a file of their own: use writeOnnx.`,
    );
  return encodeModel(
    model,
    model.initializers.map(i => Object.assign(tensorProto(i), {rawData: initializerBytes(i)})),
  );
}

/** Writes the model to `path`, under temporary names first. */
export async function writeOnnx(model: OnnxModel, path: string, options: WriteOptions = {}): Promise<WrittenOnnx> {
  const total = model.initializers.reduce((sum, i) => sum + byteLength(i), 0);
  const limit = Math.min(options.externalAbove ?? protobufLimit, protobufLimit);
  const dataPath = `${path}.data`;
  const partial = `${path}.partial`;
  if (total <= limit) {
    const encoded = encodeOnnx(model);
    await writeFile(partial, encoded);
    await rename(partial, path);
    return {files: [path], bytes: encoded.byteLength};
  }
  const partialData = `${dataPath}.partial`;
  try {
    const {tensors, bytes} = await writeExternal(model, partialData, basename(dataPath));
    const encoded = encodeModel(model, tensors);
    await writeFile(partial, encoded);
    await rename(partialData, dataPath);
    await rename(partial, path);
    return {files: [path, dataPath], bytes: bytes + encoded.byteLength};
  } catch (error) {
    await Promise.all([partial, partialData].map(file => rm(file, {force: true})));
    throw error;
  }
}

async function writeExternal(
  model: OnnxModel,
  path: string,
  location: string,
): Promise<{tensors: TensorProto[]; bytes: number}> {
  const file = await open(path, 'w');
  try {
    const tensors: TensorProto[] = [];
    let end = 0;
    for (const initializer of model.initializers) {
      const tensor = tensorProto(initializer);
      const data = initializerBytes(initializer);
      if (data.byteLength < keptInside) {
        tensor.rawData = data;
      } else {
        const offset = Math.ceil(end / alignment) * alignment;
        await writeAll(file, data, offset);
        end = offset + data.byteLength;
        tensor.dataLocation = DataLocation.EXTERNAL;
        const entries = {location, offset: String(offset), length: String(data.byteLength)};
        tensor.externalData = Object.entries(entries).map(([key, value]) => ({
          $typeName: 'onnx.StringStringEntryProto',
          key,
          value,
        }));
      }
      tensors.push(tensor);
    }
    await file.sync();
    return {tensors, bytes: end};
  } finally {
    await file.close();
  }
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, data: Uint8Array, position: number): Promise<void> {
  const chunk = 2 ** 26; // a single write is cut off at 2 GB
  for (let at = 0; at < data.byteLength; at += chunk) {
    const part = data.subarray(at, at + chunk);
    const {bytesWritten} = await file.write(part, 0, part.byteLength, position + at);
    if (bytesWritten !== part.byteLength)
      throw new Error(`Only ${bytesWritten} of ${part.byteLength} bytes could be written.`);
  }
}

function encodeModel(model: OnnxModel, initializer: TensorProto[]): Uint8Array {
  const message = create(ModelProtoSchema, {
    irVersion: BigInt(model.irVersion),
    producerName: 'video-ldm',
    opsetImport: [{domain: '', version: BigInt(model.opset)}],
    metadataProps: Object.entries(model.metadata).map(([key, value]) => ({key, value})),
    graph: {
      name: model.graphName,
      initializer,
      input: model.inputs.map(valueInfo),
      output: model.outputs.map(valueInfo),
      node: model.nodes.map(node => ({
        opType: node.op,
        name: node.name,
        input: [...node.inputs],
        output: [...node.outputs],
        attribute: Object.entries(node.attributes).map(([name, value]) => attribute(name, value)),
      })),
    },
  });
  return toBinary(ModelProtoSchema, message);
}

function valueInfo({name, dtype, shape}: OnnxValueInfo): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: onnxDataType[dtype],
          shape: {
            dim: shape.map(d => ({
              value: isSymbolic(d)
                ? {case: 'dimParam' as const, value: dimName(d)}
                : {case: 'dimValue' as const, value: BigInt(d)},
            })),
          },
        },
      },
    },
  });
}

function attribute(name: string, value: OnnxAttribute): AttributeProto {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, {name, type: AttributeType.INT, i: BigInt(value)});
  }
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, {name, type: AttributeType.STRING, s: new TextEncoder().encode(value)});
  }
  if ('float' in value) return create(AttributeProtoSchema, {name, type: AttributeType.FLOAT, f: value.float});
  return create(AttributeProtoSchema, {name, type: AttributeType.INTS, ints: value.map(v => BigInt(v))});
}
