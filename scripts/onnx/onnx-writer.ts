import { encodeMessage, type FieldValue } from '../../src/codec/protobuf.ts';

/**
 * Writes ONNX files, as far as the models that this project trains need them: float32 weights, whole numbers and texts as
 * attributes. Field numbers: onnx.proto of ONNX 1.17.
 */

/** An input or output of the graph, float32. A name where the size is open. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | readonly number[] | string>>;
}

/** What a graph may know before it runs: weights (float32) and shapes (int64). */
export interface OnnxConstant {
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants: Readonly<Record<string, OnnxConstant>>;
  /** Each after those whose outputs it takes. */
  readonly nodes: readonly OnnxNode[];
}

const IR_VERSION = 8;
const OPSET = 17;
const FLOAT = 1;
const INT64 = 7;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_INTS = 7;

type Fields = (readonly [number, FieldValue])[];

const utf8 = new TextEncoder();

/** ModelProto { ir_version = 1, producer_name = 2, graph = 7, opset_import = 8 }. */
export function encodeOnnx(graph: OnnxGraph): Uint8Array {
  return encodeMessage([
    [1, IR_VERSION],
    [2, utf8.encode('repulsor')],
    [7, encodeGraph(graph)],
    [8, encodeMessage([[2, OPSET]])],
  ]);
}

/** GraphProto { node = 1, name = 2, initializer = 5, input = 11, output = 12 }. */
function encodeGraph({ name, inputs, outputs, constants, nodes }: OnnxGraph): Uint8Array {
  return encodeMessage([
    ...nodes.map((node): Fields[number] => [1, encodeNode(node)]),
    [2, utf8.encode(name)],
    ...Object.entries(constants).map(([key, value]): Fields[number] => [5, encodeTensor(key, value)]),
    ...inputs.map((value): Fields[number] => [11, encodeValue(value)]),
    ...outputs.map((value): Fields[number] => [12, encodeValue(value)]),
  ]);
}

/** NodeProto { input = 1, output = 2, op_type = 4, attribute = 5 }. */
function encodeNode({ op, inputs, outputs, attributes = {} }: OnnxNode): Uint8Array {
  return encodeMessage([
    ...inputs.map((name): Fields[number] => [1, utf8.encode(name)]),
    ...outputs.map((name): Fields[number] => [2, utf8.encode(name)]),
    [4, utf8.encode(op)],
    ...Object.entries(attributes).map(([name, value]): Fields[number] => [5, encodeAttribute(name, value)]),
  ]);
}

/** AttributeProto { name = 1, i = 3, s = 4, ints = 8, type = 20 }. */
function encodeAttribute(name: string, value: number | readonly number[] | string): Uint8Array {
  const fields: Fields =
    typeof value === 'number'
      ? [
          [3, value],
          [20, ATTRIBUTE_INT],
        ]
      : typeof value === 'string'
        ? [
            [4, utf8.encode(value)],
            [20, ATTRIBUTE_STRING],
          ]
        : [...value.map((one): Fields[number] => [8, one]), [20, ATTRIBUTE_INTS]];
  return encodeMessage([[1, utf8.encode(name)], ...fields]);
}

/** TensorProto { dims = 1, data_type = 2, name = 8, raw_data = 9 }; the data little-endian. */
function encodeTensor(name: string, { shape, data }: OnnxConstant): Uint8Array {
  return encodeMessage([
    ...shape.map((size): Fields[number] => [1, size]),
    [2, data instanceof Float32Array ? FLOAT : INT64],
    [8, utf8.encode(name)],
    [9, littleEndian(data)],
  ]);
}

function littleEndian(data: Float32Array | BigInt64Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(data.byteLength));
  if (data instanceof Float32Array) for (let i = 0; i < data.length; i++) view.setFloat32(4 * i, data[i]!, true);
  else for (let i = 0; i < data.length; i++) view.setBigInt64(8 * i, data[i]!, true);
  return new Uint8Array(view.buffer);
}

/** ValueInfoProto { name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1 } } } }. */
function encodeValue({ name, shape }: OnnxValue): Uint8Array {
  const dims = shape.map((size): Fields[number] => [
    1,
    typeof size === 'number' ? encodeMessage([[1, size]]) : encodeMessage([[2, utf8.encode(size)]]),
  ]);
  const tensorType = encodeMessage([
    [1, FLOAT],
    [2, encodeMessage(dims)],
  ]);
  return encodeMessage([
    [1, utf8.encode(name)],
    [2, encodeMessage([[1, tensorType]])],
  ]);
}
