// The base of all layers and models: a tf.layers.Layer that knows its children. TensorFlow.js alone reports only a layer's
// own weights and freezes only its own; here `weights`, `trainableWeights` and `trainable` reach the whole tree, weights
// are declared as data and allocated apart, and a weight's name is its path in the tree, never a tf variable's name.
import {storeFrozen} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {type Initializer, initialValues} from './initializers.ts';

/** How a weight's axes are laid out here (channels last), and so how it maps to torch's layout. */
export type WeightLayout = 'vector' | 'linear' | 'conv2d' | 'conv3d' | 'embedding' | 'scalar';
const readByProducts: ReadonlySet<WeightLayout> = new Set(['linear', 'conv2d', 'conv3d']);
/** Which training stage a weight belongs to: the image model's, or a layer over time. */
export type WeightPart = 'spatial' | 'temporal';

/** A weight without its values. `shape` in TensorFlow.js's layout: [in,out], [kh,kw,in,out], [kt,kh,kw,in,out], [count,dim]. */
export interface WeightSpec {
  readonly path: string;
  readonly shape: readonly number[];
  readonly init: Initializer;
  readonly layout: WeightLayout;
  readonly part: WeightPart;
}

/** What a block says of a weight of its own. */
export type WeightDeclaration = Pick<WeightSpec, 'shape' | 'init' | 'layout'>;

/** What every block's constructor takes beside its own options. */
export interface BlockArgs {
  name?: string;
  trainable?: boolean;
}

/** A block's handle on a weight of its own. */
export class Weight {
  readonly declaration: WeightDeclaration;
  trainable = true;
  variable: tf.LayerVariable | undefined;
  private value_: tf.Variable | undefined;

  constructor(declaration: WeightDeclaration) {
    this.declaration = declaration;
  }

  /** @throws Error before `allocate`. */
  get value(): tf.Variable {
    if (!this.value_)
      throw new Error('This block has no weights yet: call allocate(seed) on the model it belongs to first.');
    return this.value_;
  }

  /** Takes ownership of the tensor's values. */
  set(initial: tf.Tensor): void {
    const {shape} = this.declaration;
    if (!tf.util.arraysEqual(initial.shape, [...shape]))
      throw new Error(`A weight of shape [${shape}] was given values of shape [${initial.shape}].`);
    this.dispose();
    this.variable = new tf.LayerVariable(initial, 'float32', 'weight', this.trainable);
    const value = this.variable.read();
    if (!(value instanceof tf.Variable)) throw new Error('A LayerVariable no longer holds a tf.Variable.');
    this.value_ = value;
    initial.dispose();
  }

  setTrainable(trainable: boolean): void {
    this.trainable = trainable;
    if (this.variable) this.variable.trainable = trainable;
  }

  /** Returns how many variables went: 0 or 1. */
  dispose(): number {
    if (!this.variable) return 0;
    this.variable.dispose();
    this.variable = undefined;
    this.value_ = undefined;
    return 1;
  }
}

interface Child {
  readonly name: string;
  readonly block: Block;
  readonly part: WeightPart | undefined;
}

interface Placed {
  readonly path: string;
  readonly weight: Weight;
  readonly part: WeightPart;
}

type Shape = (number | null)[];

/**
 * A layer or a model. Subclasses declare children and weights in their constructor and offer a typed `forward` beside
 * the `call` that tf.model uses. `options` is all that `getConfig` needs to build the same block again.
 */
export abstract class Block<Options extends object = object> extends tf.layers.Layer {
  readonly options: Options;
  private readonly children: Child[] = [];
  private readonly own: {name: string; weight: Weight}[] = [];
  private readonly constants = new Map<string, tf.Tensor>();

  constructor(options: Options & BlockArgs) {
    const {name, trainable, ...own} = options;
    super({...(name === undefined ? {} : {name}), ...(trainable === undefined ? {} : {trainable})});
    this.options = own as Options;
  }

  /**
   * Registers a child under `name`; '' puts its weights at the parent's own path, and a name may hold dots. Weights of a
   * child registered as 'temporal' belong to the temporal part, however deep.
   */
  protected child<B extends Block>(name: string, block: B, part?: WeightPart): B {
    if (name !== '' && this.children.some(child => child.name === name))
      throw new Error(`Two children of one block are named "${name}".`);
    this.children.push({name, block, part});
    if (!this.trainable_) block.trainable = false;
    return block;
  }

  /** Declares a weight; nothing is allocated. */
  protected weight(name: string, declaration: WeightDeclaration): Weight {
    const weight = new Weight(declaration);
    weight.trainable = this.trainable_;
    this.own.push({name, weight});
    return weight;
  }

  /** A tensor made once and kept until `dispose`: tables that are no weights. */
  protected constant<T extends tf.Tensor>(key: string, make: () => T): T {
    const known = this.constants.get(key);
    if (known) return known as T;
    const made = tf.keep(tf.tidy(make));
    this.constants.set(key, made);
    return made;
  }

  /** Every block of the tree below this one, by path. */
  descendants(prefix = ''): {path: string; block: Block}[] {
    return this.children.flatMap(({name, block}) => {
      const path = prefix && name ? `${prefix}.${name}` : prefix || name;
      return [{path, block}, ...block.descendants(path)];
    });
  }

  /** Every weight of the tree in order of declaration, without allocating anything. */
  weightSpecs(): WeightSpec[] {
    return this.placed().map(({path, part, weight}) => ({path, part, ...weight.declaration}));
  }

  /** Creates every weight with its initial values, a function of (seed, path) alone. Existing values are replaced. */
  allocate(seed: number, prefix = ''): this {
    return this.allocateFrom(spec => {
      const path = prefix ? `${prefix}.${spec.path}` : spec.path;
      return tf.tensor(initialValues(spec.init, spec.shape, {seed, path}), [...spec.shape]);
    });
  }

  /** Creates weights with the values given (the tensors become the block's), one at a time; undefined leaves a weight as it is. */
  allocateFrom(valuesOf: (spec: WeightSpec) => tf.Tensor | undefined): this {
    for (const {path, part, weight} of this.placed()) {
      const values = valuesOf({path, part, ...weight.declaration});
      if (!values) continue;
      weight.set(values);
    }
    if (this.allocated) this.markBuilt();
    return this;
  }

  /** Like `allocateFrom` for values that are read from files: the weights at these paths, in this order. */
  async allocateInOrder(paths: Iterable<string>, read: (spec: WeightSpec) => Promise<tf.Tensor>): Promise<this> {
    const byPath = new Map(this.placed().map(placed => [placed.path, placed]));
    for (const wanted of paths) {
      const placed = byPath.get(wanted);
      if (!placed) throw new Error(`This block has no weight ${wanted}.`);
      const {path, part, weight} = placed;
      weight.set(await read({path, part, ...weight.declaration}));
    }
    if (this.allocated) this.markBuilt();
    return this;
  }

  get allocated(): boolean {
    return this.placed().every(({weight}) => weight.variable !== undefined);
  }

  /** Weights by path. @throws Error before `allocate`. */
  namedWeights(): Map<string, tf.Variable> {
    return new Map(this.placed().map(({path, weight}) => [path, weight.value]));
  }

  /** The weights that training changes, by path. */
  trainableNamedWeights(): Map<string, tf.Variable> {
    return new Map(
      this.placed().flatMap(({path, weight}) => (weight.trainable ? [[path, weight.value] as const] : [])),
    );
  }

  /** Freezes all but the weights chosen: `model.trainWhere(({part}) => part === 'temporal')`. */
  trainWhere(choose: (spec: WeightSpec) => boolean): this {
    for (const {path, part, weight} of this.placed()) weight.setTrainable(choose({path, part, ...weight.declaration}));
    return this;
  }

  /**
   * Stores the weights that do not train, and that only products and convolutions read, as those read them: under bf16 rounded.
   * For weights that stay frozen from here on; files are written of what was loaded, not of these.
   */
  storeFrozen(): this {
    for (const {weight} of this.placed()) {
      if (!weight.trainable && weight.variable && readByProducts.has(weight.declaration.layout))
        storeFrozen(weight.value);
    }
    return this;
  }

  override get trainable(): boolean {
    return this.trainable_;
  }

  override set trainable(trainable: boolean) {
    this.trainable_ = trainable;
    for (const {weight} of this.own) weight.setTrainable(trainable);
    for (const {block} of this.children) block.trainable = trainable;
  }

  override get trainableWeights(): tf.LayerVariable[] {
    return this.variables(weight => weight.trainable);
  }

  override get nonTrainableWeights(): tf.LayerVariable[] {
    return this.variables(weight => !weight.trainable);
  }

  override get weights(): tf.LayerVariable[] {
    return this.variables(() => true);
  }

  override build(_inputShape: Shape | Shape[]): void {
    // Inside a tf.model a block that nobody allocated starts from seed 0, its layer's name standing for the missing path.
    if (!this.allocated) this.allocate(0, this.name);
    this.built = true;
  }

  /** Frees weights and tables; inside several tf.models, once the last of them is disposed. */
  override dispose(): {refCountAfterDispose: number; numDisposedVariables: number} {
    const left = Math.max(0, (this._refCount ?? 1) - 1);
    this._refCount = left;
    if (left > 0) return {refCountAfterDispose: left, numDisposedVariables: 0};
    let disposed = 0;
    for (const {weight} of this.own) disposed += weight.dispose();
    tf.dispose([...this.constants.values()]);
    this.constants.clear();
    for (const {block} of this.children) disposed += block.dispose().numDisposedVariables;
    this.built = false;
    return {refCountAfterDispose: 0, numDisposedVariables: disposed};
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {...super.getConfig(), ...(structuredClone(this.options) as tf.serialization.ConfigDict)};
  }

  private markBuilt(): void {
    this.built = true;
    // null: not yet used by any tf.model, as TensorFlow.js counts.
    if (this._refCount === 0) this._refCount = null;
    for (const {block} of this.children) block.markBuilt();
  }

  private variables(keep: (weight: Weight) => boolean): tf.LayerVariable[] {
    return this.placed().flatMap(({weight}) => (weight.variable && keep(weight) ? [weight.variable] : []));
  }

  private placed(prefix = '', inherited: WeightPart = 'spatial'): Placed[] {
    const join = (name: string) => (prefix && name ? `${prefix}.${name}` : prefix || name);
    return [
      ...this.own.map(({name, weight}) => ({path: join(name), weight, part: inherited})),
      ...this.children.flatMap(({name, block, part}) => block.placed(join(name), part ?? inherited)),
    ];
  }
}

/** The one tensor of a layer's inputs. */
export function single(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? inputs[0]! : inputs;
}

/** The inputs of a layer as a list. */
export function several(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
  return Array.isArray(inputs) ? inputs : [inputs];
}

/** The first of a layer's input shapes. */
export function firstShape(shape: Shape | Shape[]): Shape {
  return Array.isArray(shape[0]) ? (shape[0] as Shape) : (shape as Shape);
}

export type {Shape};
