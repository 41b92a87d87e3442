import { RepulsorError } from '../../errors.ts';
import { DATA_TYPE, type Output } from './c-api.ts';
import { type AttributeValue, type Graph, type Operation, output } from './graph.ts';
import type { OpSites } from './op-sites.ts';
import { dtypeName, type HostArray } from './tensor-memory.ts';

/** What tfjs-node's kernels are told of a tensor. `dtype` is a TF_DataType. */
export interface TensorMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

interface KernelAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** A tensor that kernels know by id: values from the host, or the result of an operation in one graph. */
type Entry =
  | { readonly shape: readonly number[]; readonly type: number; readonly values: HostArray }
  | { readonly graph: Graph; readonly at: Output; readonly made: string };

/** TF_AttrType (c_api.h). */
export const ATTRIBUTE = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5, resource: -1 } as const;

/**
 * Stands where tfjs-node's native addon would: the kernels of tfjs-node call it to execute operations, and it adds
 * them to a graph instead. The graph is set by `trace`, for the length of one synchronous call. Constants outlive a
 * graph: a tensor that was made outside of a traced function may be used inside of several.
 */
export class LazyBinding {
  readonly TF_FLOAT = DATA_TYPE.float32;
  readonly TF_INT32 = DATA_TYPE.int32;
  readonly TF_INT64 = DATA_TYPE.int64;
  readonly TF_BOOL = DATA_TYPE.bool;
  readonly TF_COMPLEX64 = DATA_TYPE.complex64;
  readonly TF_STRING = DATA_TYPE.string;
  readonly TF_RESOURCE = DATA_TYPE.resource;
  readonly TF_UINT8 = DATA_TYPE.uint8;
  readonly TF_ATTR_STRING = ATTRIBUTE.string;
  readonly TF_ATTR_INT = ATTRIBUTE.int;
  readonly TF_ATTR_FLOAT = ATTRIBUTE.float;
  readonly TF_ATTR_BOOL = ATTRIBUTE.bool;
  readonly TF_ATTR_TYPE = ATTRIBUTE.type;
  readonly TF_ATTR_SHAPE = ATTRIBUTE.shape;
  readonly TF_ATTR_RESOURCE = ATTRIBUTE.resource;

  readonly #entries = new Map<number, Entry>();
  /** Never reused, so that an id of another graph is recognised. */
  #nextId = 0;
  #graph: Graph | undefined;
  #sites: OpSites | undefined;
  #refused: RepulsorError | undefined;

  /**
   * Calls synchronous `work`, during which operations go into `graph`; `sites` is told which code made each.
   * @throws the refusal to read a value, even where `work` went on after it
   */
  trace<T>(graph: Graph, sites: OpSites, work: () => T): T {
    if (this.#graph) throw new Error('a program cannot be compiled inside of another one');
    this.#graph = graph;
    this.#sites = sites;
    try {
      const result = work();
      if (this.#refused) throw this.#refused;
      return result;
    } catch (error) {
      throw this.#refused ?? error;
    } finally {
      this.#graph = undefined;
      this.#sites = undefined;
      this.#refused = undefined;
    }
  }

  get isTracing(): boolean {
    return this.#graph !== undefined;
  }

  /** The graph that is being built. */
  get graph(): Graph {
    return this.#current('a function');
  }

  /** Calls synchronous `work`, during which operations go into `body` instead: a function of the current graph. */
  within<T>(body: Graph, work: () => T): T {
    const graph = this.#graph;
    this.#graph = body;
    try {
      return work();
    } finally {
      this.#graph = graph;
    }
  }

  /** Tells which code made an operation of the current graph. */
  note(operation: Operation): void {
    this.#sites?.note(operation.name);
  }

  /** Makes an output of the current graph known to the kernels. `made`: what made it, in words. */
  register(at: Output, made: string, shape: number[], type: number): TensorMetadata {
    const id = this.#nextId++;
    this.#entries.set(id, { graph: this.#current(made), at, made });
    return { id, shape, dtype: type };
  }

  /** The output of the current graph behind an id. */
  outputOf(id: number): Output {
    const entry = this.#entry(id);
    if ('values' in entry) return this.#current('Const').constant(entry.type, entry.shape, entry.values);
    if (entry.graph !== this.#graph) {
      throw new RepulsorError('ENGINE_FAILED', `the result of ${entry.made} was used in another program`, {
        hint: 'a tensor made while one program is compiled ends with it: do not keep it (tf.keep) for another',
      });
    }
    return entry.at;
  }

  createTensor(shape: readonly number[], type: number, values: unknown): number {
    const id = this.#nextId++;
    this.#entries.set(id, { shape: [...shape], type, values: hostArray(type, values) });
    return id;
  }

  deleteTensor(id: number): void {
    this.#entries.delete(id);
  }

  /** Values of a constant. The rest has none yet. @throws RepulsorError naming the operation. */
  tensorDataSync(id: number): HostArray {
    const entry = this.#entry(id);
    if ('values' in entry) return entry.values;
    const refusal = new RepulsorError(
      'ENGINE_FAILED',
      `the value of ${entry.made} was read while the program was compiled`,
      {
        hint: 'a compiled function cannot look at values (data, dataSync, array, print, if (x > 0)): compute with tensors (tf.where), or return it as an output',
      },
    );
    this.#refused ??= refusal;
    throw refusal;
  }

  executeOp(
    type: string,
    attributes: readonly KernelAttribute[],
    inputs: readonly number[],
    results: number,
  ): TensorMetadata[] {
    const graph = this.#current(type);
    if (graph.opDef(type).hasHiddenState) throw hiddenState(type);
    const operation = graph.add(
      type,
      inputs.map((id) => this.outputOf(id)),
      Object.fromEntries(attributes.map((attribute) => [attribute.name, attributeValue(type, attribute)])),
    );
    this.#sites?.note(operation.name);
    if (type === 'Reshape' || type === 'Transpose')
      graph.bfloat16?.moved(type, this.outputOf(inputs[0]!), this.outputOf(inputs[1]!), output(operation));
    const made = `${type}, made by ${this.#sites?.of(operation.name)},`;
    return Array.from({ length: results }, (_, index) => {
      const inferred = graph.shapeOf(operation, index);
      return this.register(output(operation, index), made, inferred.shape, inferred.type);
    });
  }

  isUsingGpuDevice(): boolean {
    return false;
  }

  getNumOfTensors(): number {
    return this.#entries.size;
  }

  getNumOfSavedModels(): number {
    return 0;
  }

  #entry(id: number): Entry {
    const entry = this.#entries.get(id);
    if (!entry) throw new Error(`there is no tensor ${id}: it was disposed`);
    return entry;
  }

  #current(operation: string): Graph {
    if (this.#graph) return this.#graph;
    throw new RepulsorError('ENGINE_FAILED', `${operation} was called on the native engine outside of a program`, {
      hint: 'the native engine runs whole programs: call tensor ops inside the function given to compile',
    });
  }
}

function hiddenState(operation: string): RepulsorError {
  return new RepulsorError('ENGINE_FAILED', `${operation} depends on a state of its own, which no commit would hold`, {
    hint: 'draw from the `random` that the function is given; keep what lasts in the state that it returns',
  });
}

function hostArray(type: number, values: unknown): HostArray {
  const source = values as ArrayLike<number>;
  if (type === DATA_TYPE.float32) return source instanceof Float32Array ? source : Float32Array.from(source);
  if (type === DATA_TYPE.int32) return source instanceof Int32Array ? source : Int32Array.from(source);
  if (type === DATA_TYPE.bool) return source instanceof Uint8Array ? source : Uint8Array.from(source);
  // Two int32 words an element: tfjs-node's own representation.
  if (type === DATA_TYPE.int64) return source as Int32Array;
  throw new RepulsorError('ENGINE_FAILED', `a ${dtypeName(type)} tensor cannot be part of a compiled program`, {
    hint: 'use float32, int32 or bool',
  });
}

/** @throws Error naming the attribute that a graph cannot hold. */
function attributeValue(operation: string, { name, type, value }: KernelAttribute): AttributeValue {
  const is = (kind: 'number' | 'boolean' | 'string'): boolean => typeof value === kind;
  const isNumbers = Array.isArray(value) && value.every(Number.isSafeInteger);
  if (type === ATTRIBUTE.int && isNumbers) return { ints: value as number[] };
  if (type === ATTRIBUTE.shape && isNumbers) return { shape: value as number[] };
  if (type === ATTRIBUTE.int && Number.isSafeInteger(value)) return { int: value as number };
  if (type === ATTRIBUTE.type && Number.isSafeInteger(value)) return { type: value as number };
  if (is('boolean') || (type === ATTRIBUTE.bool && is('number'))) return { bool: Boolean(value) };
  if (type === ATTRIBUTE.float && is('number')) return { float: value as number };
  if (type === ATTRIBUTE.string && is('string')) return { string: value as string };
  const kind = Object.entries(ATTRIBUTE).find(([, number]) => number === type)?.[0] ?? `type ${type}`;
  throw new Error(`operation ${operation}: attribute ${name} cannot be ${JSON.stringify(value) ?? value} (${kind})`);
}
