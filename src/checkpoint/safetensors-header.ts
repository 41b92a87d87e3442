import { RepulsorError } from '../errors.ts';

/**
 * The header of a safetensors file (https://github.com/huggingface/safetensors, "Format").
 *
 *   file     := length header data
 *   length   := u64, little-endian: bytes of the header, at most 100,000,000
 *   header   := UTF-8 JSON object, first byte '{', padded at its end with spaces (here: so that data starts at a multiple of 8)
 *             { "__metadata__"?: { string: string }, NAME: { "dtype", "shape": [n...], "data_offsets": [begin, end] }, ... }
 *   data     := the tensors' elements, little-endian, row-major; offsets count from here; no gaps, no overlaps
 */

/** Bytes of one element of each dtype that can be read. F32 and I32 can be written too. */
const DTYPE_BYTES = { F32: 4, I32: 4, U8: 1, F16: 2, BF16: 2, I64: 8 } as const;
export type SafetensorsDType = keyof typeof DTYPE_BYTES;

export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Byte range in the data. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their data. */
  readonly tensors: readonly TensorEntry[];
}

const HEADER_LIMIT = 100_000_000;

/** Everything before the data: length and header. */
export function encodeHeader(header: SafetensorsHeader): Uint8Array {
  const fields: [string, unknown][] = header.tensors.map((t) => [
    t.name,
    { dtype: t.dtype, shape: t.shape, data_offsets: [t.begin, t.end] },
  ]);
  if (Object.keys(header.metadata).length > 0) fields.unshift(['__metadata__', header.metadata]);
  // fromEntries defines own properties, so that even a tensor named "__proto__" is written as one.
  const json = Buffer.from(JSON.stringify(Object.fromEntries(fields)), 'utf8');
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}

/** The header's length from the first 8 bytes. `fileBytes` is the length of the whole file. */
export function decodeHeaderLength(first8: Uint8Array, fileBytes: number, where: string): number {
  const length = new DataView(first8.buffer, first8.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(HEADER_LIMIT)) throw damaged(where, `its header claims ${length} bytes, over the format's limit`);
  if (Number(length) > fileBytes - 8)
    throw damaged(where, `its header claims ${length} bytes in a file of ${fileBytes}`);
  return Number(length);
}

/** Parses and checks the header. `dataBytes` is what follows it in the file. @throws RepulsorError STATE_DAMAGED */
export function decodeHeader(bytes: Uint8Array, dataBytes: number, where: string): SafetensorsHeader {
  if (bytes[0] !== 0x7b) throw damaged(where, 'its header does not begin with "{"');
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(where, 'its header is not valid JSON', cause);
  }
  const duplicate = firstDuplicateKey(text);
  if (duplicate !== null) throw damaged(where, `its header names ${JSON.stringify(duplicate)} twice`);
  let metadata: Record<string, string> = {};
  const tensors: TensorEntry[] = [];
  for (const [name, value] of Object.entries(json as object)) {
    if (name === '__metadata__') metadata = checkMetadata(value, where);
    else tensors.push(checkEntry(name, value, where));
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of tensors) {
    if (begin < at) throw damaged(where, `tensor ${JSON.stringify(name)} overlaps the one before it`);
    if (begin > at) throw damaged(where, `there is a gap before tensor ${JSON.stringify(name)}`);
    at = end;
  }
  if (at !== dataBytes) throw damaged(where, `its tensors need ${at} bytes of data, it holds ${dataBytes}`);
  return { metadata, tensors };
}

export function damaged(where: string, what: string, cause?: unknown): RepulsorError {
  return new RepulsorError('STATE_DAMAGED', `${where} is not a sound safetensors file: ${what}`, {
    hint: 'Restore the file from a backup, or fall back to the commit before (`repulsor train --fallback`).',
    cause,
  });
}

function checkMetadata(value: unknown, where: string): Record<string, string> {
  if (!isObject(value) || Object.values(value).some((v) => typeof v !== 'string'))
    throw damaged(where, '__metadata__ is not a map from text to text');
  return value as Record<string, string>;
}

function checkEntry(name: string, value: unknown, where: string): TensorEntry {
  const tensor = `tensor ${JSON.stringify(name)}`;
  if (!isObject(value)) throw damaged(where, `${tensor} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype))
    throw damaged(where, `${tensor} has dtype ${JSON.stringify(dtype)}; readable are ${Object.keys(DTYPE_BYTES)}`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw damaged(where, `${tensor} has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1])
    throw damaged(where, `${tensor} has no valid data_offsets`);
  const bytes = shape.reduce((product, n) => product * n, DTYPE_BYTES[dtype as SafetensorsDType]);
  if (offsets[1] - offsets[0] !== bytes)
    throw damaged(where, `${tensor} spans ${offsets[1] - offsets[0]} bytes, its shape [${shape}] needs ${bytes}`);
  return { name, dtype: dtype as SafetensorsDType, shape, begin: offsets[0], end: offsets[1] };
}

/** JSON.parse keeps the last of two equal keys without a word, so keys are counted in the text (already known to be valid JSON). */
function firstDuplicateKey(text: string): string | null {
  const open: Set<string>[] = [];
  // Strings with the colon that makes them a key, and the braces that open and close objects; all else is skipped.
  for (const [token, key] of text.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (key !== undefined) {
      const name: string = JSON.parse(key);
      const keys = open.at(-1)!;
      if (keys.has(name)) return name;
      keys.add(name);
    }
  }
  return null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
