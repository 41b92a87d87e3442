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

/**
 * The text of the Avro schema that a registry has under an id, which never changes; null when it has none.
 * @throws BadRecord incompatible_schema when what it has is no Avro schema; its own errors pass through
 */
export type SchemaById = (id: number) => Promise<string | null>;

export const isConfluent = (bytes: Uint8Array): boolean => bytes[0] === MAGIC;

/**
 * A decoder of records of `kind` in that format, resolved to our current schema. Each id is asked for once, and only a record
 * whose id is being asked for is a promise; after an error of the registry's own it is asked for again. Byte fields may be views.
 * The decoder throws BadRecord: undecodable, unknown_schema, incompatible_schema.
 */
export function confluentDecoder<K extends RecordKind>(
  kind: K,
  schemaById: SchemaById,
): (bytes: Uint8Array) => Records[K] | Promise<Records[K]> {
  const writers = new Map<number, RecordType | BadRecord>();
  const asked = new Map<number, Promise<RecordType>>();

  const ask = async (id: number): Promise<RecordType> => {
    try {
      const writer = compiled(kind, id, await schemaById(id));
      writers.set(id, writer);
      return writer;
    } catch (error) {
      if (error instanceof BadRecord) writers.set(id, error);
      throw error;
    } finally {
      asked.delete(id);
    }
  };
  return (bytes) => {
    if (bytes.length < HEADER_BYTES || !isConfluent(bytes)) {
      throw new BadRecord('undecodable', 'not in the wire format of a schema registry: a zero byte and a schema id');
    }
    const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    const read = (writer: RecordType): Records[K] =>
      currentSchema(kind).read(bytes.subarray(HEADER_BYTES), writer) as Records[K];
    const writer = writers.get(id);
    if (writer instanceof BadRecord) throw writer;
    if (writer !== undefined) return read(writer);
    let asking = asked.get(id);
    if (asking === undefined) {
      asking = ask(id);
      asked.set(id, asking);
    }
    return asking.then(read);
  };
}

function compiled(kind: RecordKind, id: number, schema: string | null): RecordType {
  if (schema === null) throw new BadRecord('unknown_schema', `the registry has no schema ${id} for a ${kind} record`);
  try {
    return compileSchema(JSON.parse(schema));
  } catch (cause) {
    throw new BadRecord('incompatible_schema', `schema ${id} is not Avro: ${(cause as Error).message}`, cause);
  }
}
