import { RepulsorError } from '../errors.ts';
import { BadRecord } from './bad-record.ts';
import type { RecordKind, Records } from './records.ts';
import { currentSchema, writerSchema } from './schemas.ts';

/**
 * Avro single-object encoding:
 *
 *     C3 01   8 bytes fingerprint (CRC-64-AVRO of the writer's schema, little-endian)   the value in Avro binary
 *
 * Source: Avro 1.12 specification, "Single-object encoding".
 */
const MARKER = [0xc3, 0x01] as const;
const HEADER_BYTES = 10;

/**
 * Encodes with the current schema of `kind`. Equal records give equal bytes.
 * @throws RepulsorError BAD_RECORD naming the field that does not fit the schema
 */
export function encode<K extends RecordKind>(kind: K, record: Records[K]): Uint8Array {
  const schema = currentSchema(kind);
  let value: Uint8Array;
  try {
    value = schema.write(record);
  } catch (cause) {
    throw new RepulsorError('BAD_RECORD', `cannot encode a ${kind} record: ${(cause as Error).message}`, {
      hint: `give it what schemas/${kind}.avsc says`,
      cause,
    });
  }
  const bytes = new Uint8Array(HEADER_BYTES + value.length);
  bytes.set(MARKER);
  new DataView(bytes.buffer).setBigUint64(MARKER.length, schema.fingerprint, true);
  bytes.set(value, HEADER_BYTES);
  return bytes;
}

/**
 * Decodes a record that any known schema of `kind` wrote (schemas/, schemas/past, addWriterSchema).
 * The record shares no memory with `bytes`.
 * @throws BadRecord undecodable, unknown_schema, incompatible_schema
 */
export function decode<K extends RecordKind>(kind: K, bytes: Uint8Array): Records[K] {
  // From no pool: the record's byte fields are views of the copy, and keep it alive, but nothing else.
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return decodeView(kind, copy);
}

/** The same without a copy: byte fields may be views of `bytes`, which is to stay as it is. For records of many images. */
export function decodeView<K extends RecordKind>(kind: K, bytes: Uint8Array): Records[K] {
  if (bytes.length < HEADER_BYTES || bytes[0] !== MARKER[0] || bytes[1] !== MARKER[1]) {
    throw new BadRecord('undecodable', `not in Avro single-object encoding: ${start(bytes)}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fingerprint = view.getBigUint64(MARKER.length, true);
  const writer = writerSchema(kind, fingerprint);
  if (writer === undefined) {
    const hex = fingerprint.toString(16).padStart(16, '0');
    throw new BadRecord('unknown_schema', `no ${kind} schema has the fingerprint ${hex}`);
  }
  return currentSchema(kind).read(bytes.subarray(HEADER_BYTES), writer) as Records[K];
}

function start(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, 4)).toString('hex');
  return bytes.length === 0 ? 'it is empty' : `it begins with ${hex} (${bytes.length} bytes in all)`;
}
