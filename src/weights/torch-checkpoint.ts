import { decodeElements } from '../checkpoint/safetensors.ts';
import { badWeights } from './bad-weights.ts';
import { type PickleFunction, readPickle } from './pickle.ts';
import type { RandomAccess } from './random-access.ts';
import type { NamedWeights, WeightTensor } from './weights-file.ts';
import { entryData, readZipDirectory, type ZipEntry } from './zip-directory.ts';

/**
 * A PyTorch checkpoint as torch.save has written it since 1.6: a zip archive with, in one folder,
 *
 *   data.pkl    the pickle; a tensor is torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
 *               and its storage the persistent id ('storage', torch.FloatStorage, key, location, elements)
 *   data/KEY    the elements of a storage
 *   byteorder   'little'
 */
const STORAGES: Readonly<Record<string, number>> = {
  FloatStorage: 4,
  HalfStorage: 2,
  BFloat16Storage: 2,
  DoubleStorage: 8,
  LongStorage: 8,
  IntStorage: 4,
  ShortStorage: 2,
  CharStorage: 1,
  ByteStorage: 1,
  BoolStorage: 1,
};

/** The largest pickle that is read: of SiT-XL/2 with its optimizer it has about 300 KB. */
const MOST_PICKLE = 64 * 2 ** 20;

class Storage {
  readonly type: string;
  readonly key: string;
  readonly elements: number;
  constructor(type: string, key: string, elements: number) {
    this.type = type;
    this.key = key;
    this.elements = elements;
  }
}

/** Where a tensor's elements lie in a storage. */
export class TorchTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  constructor(storage: Storage, offset: number, shape: readonly number[], stride: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
  }
}

/** Reads the checkpoint's outline: dicts as Maps, tensors where they lie. @throws RepulsorError BAD_RECORD */
export async function readTorchCheckpoint(
  file: RandomAccess,
): Promise<{ root: unknown; named(tensors: ReadonlyMap<unknown, unknown>): NamedWeights }> {
  const directory = await readZipDirectory(file);
  const pickle = [...directory.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) throw bad(file, 'it has no data.pkl: no PyTorch checkpoint');
  const folder = pickle.slice(0, -'data.pkl'.length);
  const content = async (entry: ZipEntry) => file.read(await entryData(file, entry), entry.bytes);
  const order = directory.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(await content(order)) !== 'little')
    throw bad(file, 'its numbers are big-endian');
  const entry = directory.get(pickle)!;
  if (entry.bytes > MOST_PICKLE) throw bad(file, `its data.pkl has ${entry.bytes} bytes`);
  const root = readPickle(
    await content(entry),
    { globals: GLOBALS, persistent: (id) => storageOf(file, id) },
    file.path,
  );
  return {
    root,
    named: (tensors) =>
      new Map(
        [...tensors].flatMap(([name, value]) =>
          value instanceof TorchTensor ? [[String(name), lazily(file, directory, folder, value)] as const] : [],
        ),
      ),
  };
}

/** All that a checkpoint of weights names. None of it is run: these make the plain values above. */
const GLOBALS: ReadonlyMap<string, PickleFunction> = new Map<string, PickleFunction>([
  ['collections OrderedDict', (...args) => new Map(Array.isArray(args[0]) ? (args[0] as [unknown, unknown][]) : [])],
  ['torch._utils _rebuild_tensor_v2', rebuilt],
  ['torch._utils _rebuild_parameter', (data) => data],
  ['torch Size', (sizes) => sizes],
  // The arguments that the official train.py saves beside the weights: an empty thing, whose attributes are dropped.
  ['argparse Namespace', () => new Map()],
  ...Object.keys(STORAGES).map((name) => [`torch ${name}`, () => null] as const),
]);

function storageOf(file: RandomAccess, id: unknown): Storage {
  const [kind, type, key, , elements] = Array.isArray(id) ? id : [];
  const name = /^torch (\w+)$/.exec((type as { name?: string } | undefined)?.name ?? '')?.[1];
  if (kind !== 'storage' || name === undefined || typeof key !== 'string' || !isCount(elements))
    throw bad(file, 'a tensor of it has no storage');
  return new Storage(name, key, elements);
}

function rebuilt(...[storage, offset, shape, stride]: readonly unknown[]): TorchTensor | null {
  const counts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);
  if (!(storage instanceof Storage) || !isCount(offset) || !counts(shape) || !counts(stride)) return null;
  return shape.length === stride.length ? new TorchTensor(storage, offset, shape, stride) : null;
}

function lazily(
  file: RandomAccess,
  directory: ReadonlyMap<string, ZipEntry>,
  folder: string,
  { storage, offset, shape, stride }: TorchTensor,
): WeightTensor {
  const dtype = storage.type.replace('Storage', '').toLowerCase();
  return {
    shape,
    dtype,
    async read() {
      const width = STORAGES[storage.type]!;
      const entry = directory.get(`${folder}data/${storage.key}`);
      if (entry === undefined) throw bad(file, `it lacks the storage ${storage.key}`);
      const count = shape.reduce((product, n) => product * n, 1);
      if (count === 0) return new Float32Array(0);
      // One past the last element that is reached.
      const end = offset + shape.reduce((last, n, i) => last + (n - 1) * stride[i]!, 0) + 1;
      if (end * width > entry.bytes) throw bad(file, `a tensor goes beyond its storage ${storage.key}`);
      const bytes = await file.read((await entryData(file, entry)) + offset * width, (end - offset) * width);
      const values = toFloat32(file, storage.type, bytes);
      return isRowMajor(shape, stride) ? values : gathered(values, shape, stride, count);
    },
  };
}

function isRowMajor(shape: readonly number[], stride: readonly number[]): boolean {
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && stride[i] !== step) return false;
    step *= shape[i]!;
  }
  return true;
}

/** The elements of a transposed, cut or spread tensor, row-major. */
function gathered(values: Float32Array, shape: readonly number[], stride: readonly number[], count: number) {
  const out = new Float32Array(count);
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < count; i++) {
    out[i] = values[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += stride[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= stride[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function toFloat32(file: RandomAccess, type: string, bytes: Uint8Array<ArrayBuffer>): Float32Array {
  if (type === 'FloatStorage') return new Float32Array(bytes.buffer);
  if (type === 'HalfStorage') return decodeElements('F16', bytes.buffer) as Float32Array;
  if (type === 'BFloat16Storage') return decodeElements('BF16', bytes.buffer) as Float32Array;
  throw bad(file, `a weight is ${type.replace('Storage', '').toLowerCase()}, which float32 cannot hold exactly`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function bad(file: RandomAccess, what: string) {
  return badWeights(file.path, what, 'save the weights anew: torch.save(model.state_dict(), FILE)');
}
