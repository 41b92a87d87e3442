import { BadRecord } from './bad-record.ts';
import { confluentDecoder, isConfluent, type SchemaById } from './confluent.ts';
import type { ImageBatch } from './records.ts';
import { decodeView } from './single-object.ts';

/**
 * A record's value to its content: a promise only where its schema is to be asked for first. Raw pixels stay where the log has
 * read them. Throws, or rejects with, BadRecord, and with what a registry's client fails with.
 */
export type ImageBatchReader = (value: Uint8Array) => ImageBatch | Promise<ImageBatch>;

/**
 * Reads both formats, told apart by the first byte: C3 begins Avro single-object encoding, 00 the wire format of Confluent's
 * serializers. Without a registry the latter is a BadRecord that says what to set.
 */
export function imageBatchReader(schemaById: SchemaById | null): ImageBatchReader {
  const confluent = schemaById === null ? null : confluentDecoder('image-batch', schemaById);
  return (value) => {
    if (!isConfluent(value)) return decodeView('image-batch', value);
    if (confluent !== null) return confluent(value);
    throw new BadRecord(
      'unknown_schema',
      "it begins with a zero byte, as Confluent's serializers write, and no schema registry is named (source.registry)",
    );
  };
}
