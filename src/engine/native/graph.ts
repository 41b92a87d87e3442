import { type Bfloat16, NarrowOperands, RoundedOperands } from './bfloat16.ts';
import { type CApi, DATA_TYPE, type Output, type Pointer } from './c-api.ts';
import { decodeOpDef, type OpDef } from './op-def.ts';
import type { StatesInPlace } from './states-in-place.ts';
import { Status } from './status.ts';
import { dimensions, type HostArray, newTensor } from './tensor-memory.ts';

export type AttributeValue =
  | { readonly type: number }
  | { readonly shape: readonly number[] }
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly types: readonly number[] }
  | { readonly function: string };

/** An operation of the graph. */
export interface Operation {
  readonly pointer: Pointer;
  readonly type: string;
  /** In the graph. TensorFlow's messages have it. */
  readonly name: string;
  readonly inputs: readonly Output[];
}

export interface OutputShape {
  readonly shape: number[];
  /** TF_DataType. */
  readonly type: number;
}

/** How a graph's products are made of bfloat16 (bfloat16.ts). */
export type ProductForm = 'narrow' | 'rounded';

/** A function of the graph, and what its results are. */
export interface GraphFunction {
  readonly name: string;
  readonly results: readonly OutputShape[];
}

/** Constants up to this size are kept once a graph: most are axes, shapes and scalars that repeat at every layer. */
const SHARED_CONSTANT_BYTES = 64;

const text = new TextEncoder();

/** Owns one TF_Graph and builds it, op by op. TensorFlow infers types and shapes as it grows. */
export class Graph implements Disposable {
  readonly pointer: Pointer;
  readonly api: CApi;
  /** In the order in which they came. */
  readonly operations: Operation[] = [];
  readonly #status: Status;
  readonly #functions = new Map<string, GraphFunction>();
  #defined = 0;
  readonly #opDefs = new Map<string, OpDef>();
  readonly #constants = new Map<string, Output>();

  /** A function's body, compiled as a whole: what it calls `fused` is more ops of its own. */
  readonly isBody: boolean;

  /** How products are made of bfloat16; null where they are of float32. */
  readonly bfloat16: Bfloat16 | null;

  /** The states that functions may update, while a program is traced. */
  states: StatesInPlace | null = null;

  readonly #products: ProductForm | null;
  /** How many operations the graph and its functions have: names are unique among all of them. */
  readonly #named: { count: number };

  constructor(api: CApi, products: ProductForm | null = null, outer: Graph | null = null) {
    this.api = api;
    this.isBody = outer !== null;
    this.bfloat16 =
      products === null ? null : products === 'narrow' ? new NarrowOperands(this) : new RoundedOperands(this);
    this.#products = products;
    this.#named = outer === null ? { count: 0 } : outer.#named;
    this.pointer = api.newGraph();
    this.#status = new Status(api);
  }

  /**
   * Adds one operation. The counts of its input lists are left out: TensorFlow takes them from the inputs.
   * @throws Error naming the op when TensorFlow does not know it, an attribute of it, or refuses its inputs.
   */
  add(
    type: string,
    inputs: readonly Output[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    after: readonly Operation[] = [],
  ): Operation {
    const definition = this.opDef(type);
    const counts = new Set(definition.inputs.map((argument) => argument.countedBy));
    // An attribute that begins with an underscore is no part of the op: any node may have it.
    const isKnown = (name: string): boolean => definition.attributes.has(name) || name.startsWith('_');
    for (const name of Object.keys(attributes)) {
      if (isKnown(name) || counts.has(name)) continue;
      throw new Error(`operation ${type} has no attribute ${name}`);
    }
    // Names start with a letter, digit or dot; that of an internal op starts with an underscore.
    const name = this.#newName(type.replace(/^_+/, ''));
    const description = this.api.newOperation(this.pointer, type, name);
    let next = 0;
    for (const [i, argument] of definition.inputs.entries()) {
      if (!argument.list) {
        if (next >= inputs.length) break; // TF_FinishOperation says which one is missing.
        this.api.addInput(description, inputs[next++]!);
        continue;
      }
      const counted = argument.countedBy === undefined ? undefined : attributes[argument.countedBy];
      const later = definition.inputs.length - 1 - i;
      const count = counted !== undefined && 'int' in counted ? counted.int : inputs.length - next - later;
      this.api.addInputList(description, inputs.slice(next, next + count), count);
      next += count;
    }
    for (const [attribute, value] of Object.entries(attributes)) {
      if (isKnown(attribute) && !counts.has(attribute)) this.#setAttribute(description, attribute, value);
    }
    for (const operation of after) this.api.addControlInput(description, operation.pointer);
    const pointer = this.api.finishOperation(description, this.#status.pointer);
    this.#status.check(`operation ${type}`);
    const operation = { pointer: pointer as Pointer, type, name, inputs };
    this.operations.push(operation);
    return operation;
  }

  /** A constant. Small ones are shared. `type` is a TF_DataType of the data's element size. */
  constant(type: number, shape: readonly number[], data: HostArray): Output {
    if (data.byteLength > SHARED_CONSTANT_BYTES) return this.#newConstant(type, shape, data);
    // Their bytes, not their numbers: -0 is not 0.
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
    const key = `${type}:${shape}:${bytes}`;
    let constant = this.#constants.get(key);
    if (constant === undefined) {
      constant = this.#newConstant(type, shape, data);
      this.#constants.set(key, constant);
    }
    return constant;
  }

  placeholder(type: number, shape: readonly number[]): Output {
    return output(this.add('Placeholder', [], { dtype: { type }, shape: { shape } }));
  }

  /** @throws Error when the shape depends on values, which a graph does not know before it runs. */
  shapeOf(operation: Operation, index: number): OutputShape {
    const at = output(operation, index);
    const rank = this.api.graphGetTensorNumDims(this.pointer, at, this.#status.pointer);
    this.#status.check(`rank of operation ${operation.type}`);
    const dims = new BigInt64Array(Math.max(rank, 0));
    if (rank > 0) {
      this.api.graphGetTensorShape(this.pointer, at, dims, rank, this.#status.pointer);
      this.#status.check(`shape of operation ${operation.type}`);
    }
    const shape = Array.from(dims, Number);
    if (rank < 0 || shape.some((size) => size < 0)) {
      throw new Error(`operation ${operation.type}: the shape of its result depends on the values of its inputs`);
    }
    return { shape, type: this.api.operationOutputType(at) };
  }

  /**
   * The function of this graph with this signature, made by `build` from its inputs when it is first asked for. TensorFlow's
   * compiler (XLA) makes one kernel of it.
   */
  function(
    signature: string,
    inputs: readonly OutputShape[],
    build: (body: Graph, inputs: readonly Output[]) => readonly Output[],
  ): GraphFunction {
    let known = this.#functions.get(signature);
    if (known === undefined) {
      using body = new Graph(this.api, null, this);
      known = this.#define(`${/^\w+/.exec(signature)?.[0]}`, body, inputs, build);
      this.#functions.set(signature, known);
    }
    return known;
  }

  /** A new function, whose products are made as the graph's are. `build` may add to its inputs. */
  newFunction(
    inputs: readonly OutputShape[],
    build: (body: Graph, inputs: Output[]) => readonly Output[],
  ): GraphFunction {
    using body = new Graph(this.api, this.#products, this);
    return this.#define('whole', body, inputs, build);
  }

  #define(
    kind: string,
    body: Graph,
    inputs: readonly OutputShape[],
    build: (body: Graph, inputs: Output[]) => readonly Output[],
  ): GraphFunction {
    const fed = inputs.map(({ type, shape }) => body.placeholder(type, shape));
    const outputs = build(body, fed);
    const name = `${kind}_${this.#defined++}`;
    const definition = this.api.graphToFunction(
      ...([body.pointer, name, 0, -1, null, fed.length, fed, outputs.length, outputs, null, null, null] as const),
      this.#status.pointer,
    );
    this.#status.check(`function ${name}`);
    try {
      this.api.graphCopyFunction(this.pointer, definition!, null, this.#status.pointer);
      this.#status.check(`function ${name}`);
    } finally {
      this.api.deleteFunction(definition!);
    }
    return {
      name,
      results: outputs.map(({ oper, index }) => body.shapeOf({ pointer: oper, type: name, name, inputs: [] }, index)),
    };
  }

  /**
   * TensorFlow's optimizers go by the names as text, and what they add up in which order decides last bits: of numbers with
   * leading zeros that order is that of the code, however many ops came before.
   */
  #newName(type: string): string {
    return `${type}_${String(this.#named.count++).padStart(6, '0')}`;
  }

  /** Operations in it and in its functions. */
  get size(): number {
    return this.#named.count;
  }

  /** A call of a function, compiled to one kernel. */
  call(
    { name, results }: GraphFunction,
    inputs: readonly Output[],
    types: readonly number[],
    after: readonly Operation[] = [],
  ): Operation {
    const attributes: Record<string, AttributeValue> = {
      Tin: { types },
      Tout: { types: results.map(({ type }) => type) },
      f: { function: name },
      _XlaMustCompile: { bool: true },
    };
    const type = types.includes(DATA_TYPE.resource) ? 'StatefulPartitionedCall' : 'PartitionedCall';
    const operation = this.add(type, inputs, attributes, after);
    for (const [index, { shape }] of results.entries()) this.setShape(output(operation, index), shape);
    return operation;
  }

  /** Says what TensorFlow cannot infer. */
  setShape(at: Output, shape: readonly number[]): void {
    this.api.graphSetTensorShape(this.pointer, at, dimensions(shape), shape.length, this.#status.pointer);
    this.#status.check('the shape of an output');
  }

  [Symbol.dispose](): void {
    this.api.deleteGraph(this.pointer);
    this.#status[Symbol.dispose]();
  }

  #newConstant(type: number, shape: readonly number[], data: HostArray): Output {
    const tensor = newTensor(this.api, type, shape, data);
    try {
      const name = this.#newName('Const');
      const description = this.api.newOperation(this.pointer, 'Const', name);
      this.api.setAttrTensor(description, 'value', tensor, this.#status.pointer);
      this.api.setAttrType(description, 'dtype', type);
      const pointer = this.api.finishOperation(description, this.#status.pointer);
      this.#status.check('operation Const');
      const constant = { pointer: pointer as Pointer, type: 'Const', name, inputs: [] };
      this.operations.push(constant);
      return output(constant);
    } finally {
      this.api.deleteTensor(tensor);
    }
  }

  /** @throws Error when TensorFlow does not know the op. */
  opDef(type: string): OpDef {
    let definition = this.#opDefs.get(type);
    if (definition === undefined) {
      const buffer = this.api.newBuffer();
      try {
        this.api.graphGetOpDef(this.pointer, type, buffer, this.#status.pointer);
        this.#status.check(`operation ${type}`);
        definition = decodeOpDef(this.api.bufferBytes(buffer));
      } finally {
        this.api.deleteBuffer(buffer);
      }
      this.#opDefs.set(type, definition);
    }
    return definition;
  }

  #setAttribute(description: Pointer, name: string, value: AttributeValue): void {
    const { api } = this;
    if ('type' in value) api.setAttrType(description, name, value.type);
    else if ('shape' in value) api.setAttrShape(description, name, dimensions(value.shape), value.shape.length);
    else if ('int' in value) api.setAttrInt(description, name, value.int);
    else if ('ints' in value) api.setAttrIntList(description, name, dimensions(value.ints), value.ints.length);
    else if ('float' in value) api.setAttrFloat(description, name, value.float);
    else if ('strings' in value) {
      const values = value.strings.map((one) => text.encode(one));
      const lengths = BigUint64Array.from(values, ({ length }) => BigInt(length));
      api.setAttrStringList(description, name, values, lengths, values.length);
    } else if ('types' in value)
      api.setAttrTypeList(description, name, Int32Array.from(value.types), value.types.length);
    else if ('function' in value) api.setAttrFuncName(description, name, value.function, value.function.length);
    else if ('bool' in value) api.setAttrBool(description, name, value.bool ? 1 : 0);
    else {
      const bytes = text.encode(value.string);
      api.setAttrString(description, name, bytes, bytes.length);
    }
  }
}

export const output = (operation: Operation, index = 0): Output => ({ oper: operation.pointer, index });
