import avro from 'avsc';
import { describe, expect, test } from 'vitest';
import { BadRecord } from '../../src/codec/bad-record.ts';
import { confluentDecoder } from '../../src/codec/confluent.ts';
import { imageBatchReader } from '../../src/codec/image-batch-reader.ts';
import { readSchema } from '../../src/codec/schemas.ts';
import { RepulsorError } from '../../src/errors.ts';
import { imageBatch, take, topicOf } from '../operators/streams.ts';

const schema = readSchema('image-batch') as avro.Schema;
const record = {
  shape: [1, 2, 1],
  encoding: 'RAW_U8',
  images: [Buffer.of(7, 8)],
  labels: [1],
  eventTime: 5,
  source: 'other',
};

function framed(id: number, as: avro.Schema = schema, value: object = record): Uint8Array {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return Buffer.concat([header, avro.Type.forSchema(as).toBuffer(value)]);
}

const reason = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
    return 'none';
  } catch (error) {
    return error instanceof BadRecord ? error.reason : error;
  }
};

describe("a schema registry's wire format", () => {
  const { fields } = schema as unknown as { fields: { name: string }[] };
  const newer = { ...(schema as object), fields: [...fields, { name: 'extra', type: 'string' }] } as avro.Schema;
  const schemas: Record<number, unknown> = { 1: schema, 300: newer, 4: { type: 'nonsense' }, 5: 'string' };
  const registry = () => {
    const asked: number[] = [];
    const schemaById = async (id: number) => {
      asked.push(id);
      if (id === 6) return 'no JSON';
      return id in schemas ? JSON.stringify(schemas[id]) : null;
    };
    return { asked, schemaById };
  };

  test('is read with the schema of its id, which is asked for once, and at once from then on', async () => {
    const { asked, schemaById } = registry();
    const decode = confluentDecoder('image-batch', schemaById);
    const first = [decode(framed(1)), decode(framed(1))];
    for (const asking of first) {
      expect(asking).toBeInstanceOf(Promise);
      expect(await asking).toMatchObject({ ...record, images: [expect.anything()] });
    }
    expect(decode(framed(1))).toMatchObject({ ...record, images: [expect.anything()] });
    expect(await decode(framed(300, newer, { ...record, extra: 'x' }))).not.toHaveProperty('extra');
    expect(asked).toEqual([1, 300]);
  });

  test.each([
    ['no id', Uint8Array.of(0, 0, 0), 'undecodable', 0],
    ['another magic byte', Uint8Array.of(1, 0, 0, 0, 1, 0), 'undecodable', 0],
    ['an id that the registry does not know', framed(77), 'unknown_schema', 1],
    ['a schema that is none', framed(4), 'incompatible_schema', 1],
    ['a schema that is no JSON', framed(6), 'incompatible_schema', 1],
    ['a schema of something else', framed(5, 'string', 'text' as never), 'incompatible_schema', 1],
    ['a value cut short', framed(1).subarray(0, 12), 'undecodable', 1],
  ])('with %s is a BAD_RECORD, however often it comes, and asked for once', async (_, bytes, word, times) => {
    const { asked, schemaById } = registry();
    const decode = confluentDecoder('image-batch', schemaById);
    expect(await reason(() => decode(bytes))).toBe(word);
    expect(await reason(() => decode(bytes))).toBe(word);
    expect(asked).toHaveLength(times);
  });

  test('whose registry fails is no bad record, and is asked for again', async () => {
    let answers = false;
    const decode = confluentDecoder('image-batch', async () => {
      if (answers) return JSON.stringify(schema);
      throw new RepulsorError('REGISTRY_FAILED', 'away', { hint: '' });
    });
    expect(await reason(() => decode(framed(1)))).toMatchObject({ code: 'REGISTRY_FAILED' });
    answers = true;
    expect(await decode(framed(1))).toMatchObject({ labels: [1] });
  });

  test('and single-object encoding are read out of one topic, in its order', async () => {
    const values = [framed(1), imageBatch(1, 1), framed(77), framed(300, newer, { ...record, extra: '' }), framed(1)];
    const log = await topicOf(values);
    const batches = await take(log, { read: imageBatchReader(registry().schemaById) });
    expect(batches.map(({ ids }) => ids[0]!.offset)).toEqual([0, 1, 3, 4]);
    // Nothing depends on which schemas are known already.
    const read = imageBatchReader(registry().schemaById);
    await take(log, { read });
    expect(await take(log, { read })).toEqual(batches);
  });

  test('ends the stream, and dead-letters nothing, when the registry fails', async () => {
    const log = await topicOf([imageBatch(1, 1), framed(1), imageBatch(2, 1)]);
    const letters: unknown[] = [];
    const read = imageBatchReader(async () => {
      throw new RepulsorError('REGISTRY_FAILED', 'away', { hint: '' });
    });
    const ended = take(log, { read, deadLetters: (found) => void letters.push(...found) });
    await expect(ended).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(letters).toEqual([]);
  });

  test('without a registry is a bad record that names the setting', async () => {
    const letters: { message: string; reason: string }[] = [];
    const log = await topicOf([framed(1), imageBatch(1, 1)]);
    const batches = await take(log, { deadLetters: (found) => void letters.push(...found) });
    expect(batches).toHaveLength(1);
    expect(letters).toMatchObject([{ reason: 'unknown_schema', message: expect.stringContaining('source.registry') }]);
  });
});
