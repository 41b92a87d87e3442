import { BadRecord } from './bad-record.ts';
import { compileSchema, type RecordType } from './record-type.ts';
import type { RecordKind, Records } from './records.ts';
import { currentSchema } from './schemas.ts';

/**
 * The wire format of Confluent's serializers:
 *
 *     00   4 bytes schema id in the registry, big-endian   the value in Avro binary
 *
 * Source: Confluent Platform documentation, "Wire format".
 */
const MAGIC = 0;
const HEADER_BYTES = 5;

/** Fetches the schema (parsed JSON) that a registry has under an id; null when it has none. Its own errors pass through. */
export type SchemaById = (id: number) => Promise<unknown>;

/**
 * A decoder of records of `kind` in that format, resolved to our current schema. Each id is asked for once.
 * The decoder throws BadRecord: undecodable, unknown_schema, incompatible_schema.
 */
export function confluentDecoder<K extends RecordKind>(
  kind: K,
  schemaById: SchemaById,
): (bytes: Uint8Array) => Promise<Records[K]> {
  const writers = new Map<number, RecordType>();
  return async (bytes) => {
    if (bytes.length < HEADER_BYTES || bytes[0] !== MAGIC) {
      throw new BadRecord(
        'undecodable',
        'not in the wire format of a schema registry: it begins with another byte than 0',
      );
    }
    const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    let writer = writers.get(id);
    if (writer === undefined) {
      writer = compiled(kind, id, await schemaById(id));
      writers.set(id, writer);
    }
    return currentSchema(kind).read(bytes.subarray(HEADER_BYTES), writer) as Records[K];
  };
}

function compiled(kind: RecordKind, id: number, schema: unknown): RecordType {
  if (schema === null) throw new BadRecord('unknown_schema', `the registry has no schema ${id} for a ${kind} record`);
  try {
    return compileSchema(schema);
  } catch (cause) {
    throw new BadRecord('incompatible_schema', `schema ${id} is not Avro: ${(cause as Error).message}`, cause);
  }
}
