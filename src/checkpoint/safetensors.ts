import type { HostTensor, HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import {
  damaged,
  decodeHeader,
  decodeHeaderLength,
  encodeHeader,
  type SafetensorsDType,
  type TensorEntry,
} from './safetensors-header.ts';
import type { BlobContent } from './store.ts';

const DTYPE_NAME = { float32: 'F32', int32: 'I32' } as const;

/** Elements as read: F16 and BF16 are widened to float32, which holds every value of theirs exactly. */
export interface SafeTensor {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array | BigInt64Array;
}

export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, SafeTensor>;
}

/**
 * The tensors as the bytes of a safetensors file, without a copy of their data: the chunks are views on it, so it must
 * not change until they are written. The same tensors give the same bytes, in whatever order they were put in.
 * Every platform TensorFlow runs on is little-endian, as the format is.
 */
export function encodeSafetensors(tensors: HostTensors, metadata: Readonly<Record<string, string>> = {}): BlobContent {
  const names = Object.keys(tensors).sort();
  const entries: TensorEntry[] = [];
  let at = 0;
  for (const name of names) {
    const { dtype, shape, data } = tensors[name]!;
    checkWritable(name, shape, data);
    entries.push({
      name,
      dtype: DTYPE_NAME[dtype],
      shape,
      begin: at,
      end: at + data.byteLength,
    });
    at += data.byteLength;
  }
  const head = encodeHeader({ metadata, tensors: entries });
  return {
    bytes: head.length + at,
    *chunks() {
      yield head;
      for (const name of names) {
        const { data } = tensors[name]!;
        yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      }
    },
  };
}

/**
 * Reads a whole file from its bytes in order, each tensor straight into its own memory. The source is read to its end,
 * so a check it makes there (a digest) has passed when this resolves. `where` names the file in errors. A tensor of the
 * name, shape and dtype of one in `into` is read into that one's memory.
 * @throws RepulsorError STATE_DAMAGED naming the file and the tensor
 */
export async function decodeSafetensors(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  fileBytes: number,
  where: string,
  into: HostTensors = {},
): Promise<SafetensorsFile> {
  const reader = byteReader(source, where);
  try {
    const first8 = new Uint8Array(8);
    await reader.fill(first8, 'the length of its header');
    const headerBytes = new Uint8Array(decodeHeaderLength(first8, fileBytes, where));
    await reader.fill(headerBytes, 'its header');
    const header = decodeHeader(headerBytes, fileBytes - 8 - headerBytes.length, where);
    const tensors = new Map<string, SafeTensor>();
    for (const { name, dtype, shape, begin, end } of header.tensors) {
      const place = placeIn(Object.hasOwn(into, name) ? into[name] : undefined, dtype, shape);
      const bytes =
        place === null ? new Uint8Array(end - begin) : new Uint8Array(place.buffer, place.byteOffset, place.byteLength);
      await reader.fill(bytes, `tensor ${JSON.stringify(name)}`);
      tensors.set(name, { dtype, shape, data: place ?? decodeElements(dtype, bytes.buffer as ArrayBuffer) });
    }
    await reader.expectEnd();
    return { metadata: header.metadata, tensors };
  } finally {
    await reader.close();
  }
}

function placeIn(
  tensor: HostTensor | undefined,
  dtype: SafetensorsDType,
  shape: readonly number[],
): HostTensor['data'] | null {
  if (tensor === undefined || tensor.shape.join() !== shape.join()) return null;
  return DTYPE_NAME[tensor.dtype] === dtype ? tensor.data : null;
}

/** The tensors as the engine takes them. @throws RepulsorError STATE_DAMAGED for a dtype that no state has */
export function toHostTensors(file: SafetensorsFile, where: string): HostTensors {
  return Object.fromEntries(
    [...file.tensors].map(([name, { dtype, shape, data }]) => {
      if (data instanceof Float32Array) return [name, { dtype: 'float32', shape, data }];
      if (data instanceof Int32Array) return [name, { dtype: 'int32', shape, data }];
      throw damaged(where, `tensor ${JSON.stringify(name)} has dtype ${dtype}; a state holds float32 and int32 only`);
    }),
  );
}

/** A file that no reader would take must not be written in the first place. */
function checkWritable(name: string, shape: readonly number[], data: Float32Array | Int32Array): void {
  const wanted = shape.reduce((product, n) => product * n, 1);
  if (name !== '__metadata__' && wanted === data.length) return;
  const what =
    name === '__metadata__' ? 'has a name the format reserves' : `of shape [${shape}] holds ${data.length} numbers`;
  throw new RepulsorError('STATE_MISMATCH', `tensor ${JSON.stringify(name)} cannot be written: it ${what}`, {
    hint: 'Name and shape come from the model: correct them there.',
  });
}

/** Bytes of a tensor as numbers; half precision is widened. */
export function decodeElements(dtype: SafetensorsDType, buffer: ArrayBuffer): SafeTensor['data'] {
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'I32':
      return new Int32Array(buffer);
    case 'U8':
      return new Uint8Array(buffer);
    case 'I64':
      return new BigInt64Array(buffer);
    case 'BF16': // the upper half of a float32
      return widened(new Uint16Array(buffer));
    case 'F16':
      return Float32Array.from(new Uint16Array(buffer), halfToNumber);
  }
}

/** IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function byteReader(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, where: string) {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let rest = new Uint8Array(0) as Uint8Array;
  const pull = async () => {
    const next = await iterator.next();
    rest = next.done ? rest : next.value;
    return next.done !== true;
  };
  return {
    async fill(target: Uint8Array, what: string): Promise<void> {
      for (let at = 0; at < target.length; ) {
        if (rest.length === 0) {
          if (!(await pull())) throw damaged(where, `it ends inside ${what}`);
          continue;
        }
        const part = rest.subarray(0, target.length - at);
        target.set(part, at);
        at += part.length;
        rest = rest.subarray(part.length);
      }
    },
    async expectEnd(): Promise<void> {
      do {
        if (rest.length > 0) throw damaged(where, `${rest.length} bytes follow its last tensor`);
      } while (await pull());
    },
    async close(): Promise<void> {
      await iterator.return?.();
    },
  };
}

/** bfloat16 is the upper half of a float32. In a loop: an array's `from` with a function takes 30 times as long. */
function widened(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  return new Float32Array(words.buffer);
}
