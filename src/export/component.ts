// Exports one component of a pipeline: builds the model without reading a weight, traces it, writes it, proves it equal.
import type {Block} from '../layers/block.ts';
import {FIRST_BOX_CLASS} from '../layers/box_features.ts';
import {
  type AutoencoderConfig,
  AutoencoderKL,
  ConditionEncoder,
  type ConditionsConfig,
  type ConditionTensors,
  classCount,
  conditionArrays,
  TextEncoder,
  type TextEncoderConfig,
  UNet,
  type UNetConfig,
} from '../models/index.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {kernelSpecs, refusedKernels} from './kernels/index.ts';
import type {WeightValues} from './lazy_weights.ts';
import {lazyTensor, recorderName, type TracedFunction, theRecorder} from './recorder.ts';
import {type DynamicDim, type OnnxInput, type OnnxOptions, toOnnx} from './to_onnx.ts';
import {type Verification, verifyOnnx} from './verify.ts';
import {type WriteOptions, type WrittenOnnx, writeOnnx} from './write.ts';

/** What can be exported. The upsampler is a UNet too; "decoder" is the one over time where the configuration has it. */
export type ComponentModel =
  | {readonly component: 'unet' | 'upsampler'; readonly config: UNetConfig}
  | {readonly component: 'encoder' | 'decoder'; readonly config: AutoencoderConfig}
  | {readonly component: 'text'; readonly config: TextEncoderConfig}
  | {readonly component: 'conditions'; readonly config: ConditionsConfig};

export type DynamicName = 'batch' | 'frames' | 'height' | 'width' | 'tokens';

export interface ComponentSizes {
  readonly batch?: number;
  /** Absent for images; a model with temporal attention takes this number of frames only. */
  readonly frames?: number;
  /** Of the component's input: latents for UNet and decoder, pixels for the encoder. */
  readonly height?: number;
  readonly width?: number;
  /** Length of the text. */
  readonly tokens?: number;
}

export interface ComponentOptions extends Omit<OnnxOptions, 'weights'>, WriteOptions {
  readonly sizes?: ComponentSizes;
  /** Which of the sizes may change when the model runs; none by default. */
  readonly dynamic?: readonly DynamicName[];
  /** Compare with the engine that is set; default true. */
  readonly verify?: boolean;
}

export interface ExportedComponent {
  readonly written: WrittenOnnx;
  readonly inputs: readonly OnnxInput[];
  readonly parameters: number;
  /** Absent where it was not asked for. */
  readonly verification?: Verification;
}

export interface ComponentFunction {
  readonly model: Block;
  readonly fn: TracedFunction;
  readonly inputs: readonly OnnxInput[];
  /** Where random inputs for the verification come from: [from, below). */
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
}

/** The component as a function of named tensors, its model without weights. @throws UserError for sizes that do not fit. */
export function componentFunction(from: ComponentModel, options: ComponentOptions = {}): ComponentFunction {
  switch (from.component) {
    case 'unet':
    case 'upsampler':
      return unetFunction(from.config, options);
    case 'encoder':
      return encoderFunction(from.config, options);
    case 'decoder':
      return decoderFunction(from.config, options);
    case 'text':
      return textFunction(from.config, options);
    case 'conditions':
      return conditionsFunction(from.config, options);
  }
}

/**
 * Writes a component to `path` and, unless told not to, compares the file with the engine that is set. `values` gives each
 * weight when it is needed, so a large model is never in memory as a whole while it is written; a verification loads it.
 * @throws UserError where a kernel has no ONNX form, where weights do not fit, or where onnxruntime-node is missing.
 */
export async function exportComponent(
  from: ComponentModel,
  values: WeightValues,
  path: string,
  options: ComponentOptions = {},
): Promise<ExportedComponent> {
  const {verify = true, sizes: _, dynamic: __, externalAbove, ...onnx} = options;
  const {model, fn, inputs, ranges} = componentFunction(from, options);
  const recorder = theRecorder(kernelSpecs, refusedKernels);
  const engine: string | undefined = tf.engine().backendName;
  try {
    await tf.setBackend(recorderName);
    try {
      model.allocateFrom(spec => lazyTensor(recorder, spec.path, spec.shape, () => values(spec)));
    } finally {
      if (engine !== undefined) await tf.setBackend(engine);
    }
    const metadata = {...onnx.metadata, component: from.component, config: JSON.stringify(from.config)};
    const traced = await toOnnx(fn, inputs, {graphName: from.component, ...onnx, metadata});
    const written = await writeOnnx(traced, path, externalAbove === undefined ? {} : {externalAbove});
    const parameters = model.weightSpecs().reduce((sum, {shape}) => sum + shape.reduce((a, b) => a * b, 1), 0);
    if (!verify) return {written, inputs, parameters};
    const tolerance = onnx.weightType === 'float16' ? {tolerance: 1e-2} : {};
    return {written, inputs, parameters, verification: await verifyOnnx(path, fn, inputs, {ranges, ...tolerance})};
  } finally {
    model.dispose();
  }
}

type Size = number | DynamicDim;

function sizer({sizes = {}, dynamic = []}: ComponentOptions) {
  return (name: DynamicName, fallback: number, step = 1): Size => {
    const example = sizes[name] ?? fallback;
    if (example % step !== 0)
      throw new UserError(`The ${name} of this component must be a multiple of ${step}, not ${example}.`);
    return dynamic.includes(name) ? {dim: name, example, step} : example;
  };
}

function unetFunction(config: UNetConfig, options: ComponentOptions): ComponentFunction {
  const unet = new UNet(config);
  const size = sizer(options);
  const step = 2 ** (config.channels.length - 1);
  const batch = size('batch', 1);
  const {frames} = options.sizes ?? {};
  if (options.dynamic?.includes('frames') && config.temporal?.attention) {
    throw new UserError(
      'A UNet with temporal attention has a table of frame positions, so its number of frames cannot be dynamic.',
    );
  }
  const clip = frames === undefined ? [batch] : [batch, size('frames', frames)];
  const maps = [...clip, size('height', 8 * step, step), size('width', 8 * step, step)];
  const float = (name: string, shape: Size[]): OnnxInput => ({name, shape, dtype: 'float32'});
  const inputs: OnnxInput[] = [float('latents', [...maps, config.inChannels]), float('timesteps', [batch])];
  const text = config.crossAttentionDim;
  const tokens = size('tokens', 77);
  if (text !== undefined) inputs.push(float('context', [batch, tokens, text]));
  const {temporal, classEmbedding, addedNumbers} = config;
  const own = frames !== undefined && temporal?.attention ? temporal.contextDim : undefined;
  if (own !== undefined && own !== text) inputs.push(float('temporalContext', [batch, tokens, own]));
  if (classEmbedding !== undefined) inputs.push({name: 'classLabels', shape: [batch], dtype: 'int32'});
  if (addedNumbers) inputs.push(float('addedNumbers', [batch, addedNumbers.count]));
  if (frames !== undefined && temporal?.given) inputs.push(float('given', [...maps, temporal.given.inputs]));
  const fn: TracedFunction = given => ({
    prediction: unet.forward({
      latents: given.latents!,
      timesteps: given.timesteps as tf.Tensor1D,
      context: given.context as tf.Tensor3D | undefined,
      temporalContext: given.temporalContext as tf.Tensor3D | undefined,
      classLabels: given.classLabels as tf.Tensor1D | undefined,
      addedNumbers: given.addedNumbers as tf.Tensor2D | undefined,
      given: given.given as tf.Tensor5D | undefined,
    }),
  });
  return {model: unet, fn, inputs, ranges: {timesteps: [0, 1000], classLabels: [0, classEmbedding ?? 1]}};
}

function encoderFunction(config: AutoencoderConfig, options: ComponentOptions): ComponentFunction {
  const autoencoder = new AutoencoderKL(config);
  const size = sizer(options);
  const step = autoencoder.factor;
  const shape = [size('batch', 1), size('height', 8 * step, step), size('width', 8 * step, step), 3];
  const fn: TracedFunction = ({pixels}) => {
    const {mean, logvar} = autoencoder.encode(pixels as tf.Tensor4D);
    return {mean, logvar};
  };
  return {model: autoencoder, fn, inputs: [{name: 'pixels', shape, dtype: 'float32'}], ranges: {pixels: [-1, 1]}};
}

function decoderFunction(config: AutoencoderConfig, options: ComponentOptions): ComponentFunction {
  const autoencoder = new AutoencoderKL(config);
  const size = sizer(options);
  const {frames} = options.sizes ?? {};
  const clip = frames === undefined ? [size('batch', 1)] : [size('batch', 1), size('frames', frames)];
  const shape = [...clip, size('height', 8), size('width', 8), config.latentChannels];
  const fn: TracedFunction = ({rawLatents}) => ({pixels: autoencoder.decode(rawLatents as tf.Tensor4D | tf.Tensor5D)});
  return {model: autoencoder, fn, inputs: [{name: 'rawLatents', shape, dtype: 'float32'}], ranges: {}};
}

function textFunction(config: TextEncoderConfig, options: ComponentOptions): ComponentFunction {
  const encoder = new TextEncoder(config);
  const size = sizer(options);
  if (options.dynamic?.includes('tokens'))
    throw new UserError('The text encoder has a causal mask of fixed length: its tokens cannot be dynamic.');
  const shape = [size('batch', 1), size('tokens', config.tokens)];
  const fn: TracedFunction = ({ids}) => {
    const {hidden, pooled} = encoder.forward(ids as tf.Tensor2D);
    return {hidden, pooled};
  };
  return {model: encoder, fn, inputs: [{name: 'ids', shape, dtype: 'int32'}], ranges: {ids: [0, config.vocabulary]}};
}

/** Text, labels and boxes, as `conditionArrays` gives them, to the tokens of cross-attention. The frame rate needs no network. */
function conditionsFunction(config: ConditionsConfig, options: ComponentOptions): ComponentFunction {
  const encoder = new ConditionEncoder(config);
  if (!encoder.hasTokens)
    throw new UserError(
      'These conditions are numbers alone, which the UNet takes as they are: there is nothing to export.',
    );
  const batch = sizer(options)('batch', 1);
  const inputs = Object.entries(conditionArrays(config)([{}]))
    .filter(([name]) => name !== 'fps')
    .map(([name, {dtype, shape}]): OnnxInput => ({name, dtype, shape: [batch, ...shape.slice(1)]}));
  const fn: TracedFunction = given => ({context: encoder.forward(given as ConditionTensors).context!});
  const {text, labels = {}, boxes} = config;
  const classes = Object.values(labels).map(label => 1 + classCount(label));
  const ranges = {
    ...(text ? {ids: [0, text.encoder.vocabulary] as const} : {}),
    ...(classes.length > 0 ? {labels: [0, Math.min(...classes)] as const} : {}),
    ...(boxes ? {boxClasses: [0, FIRST_BOX_CLASS + boxes.classes.length] as const} : {}),
  };
  return {model: encoder, fn, inputs, ranges};
}
