import avro from 'avsc';
import { describe, expect, test } from 'vitest';
import { BadRecord } from '../../src/codec/bad-record.ts';
import { confluentDecoder } from '../../src/codec/confluent.ts';
import { readSchema } from '../../src/codec/schemas.ts';
import { MemoryLog } from '../operators/memory-log.ts';
import { imageBatch, SETTINGS, take } from '../operators/streams.ts';

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

const reason = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof BadRecord ? error.reason : error),
  );

describe("a schema registry's wire format", () => {
  const { fields } = schema as unknown as { fields: { name: string }[] };
  const newer = { ...(schema as object), fields: [...fields, { name: 'extra', type: 'string' }] } as avro.Schema;
  const asked: number[] = [];
  const decode = confluentDecoder('image-batch', async (id) => {
    asked.push(id);
    return { 1: schema, 300: newer, 4: { type: 'nonsense' }, 5: 'string' }[id] ?? null;
  });

  test('is read with the schema of its id, which is asked for once', async () => {
    expect(await decode(framed(1))).toMatchObject({ ...record, images: [expect.anything()] });
    await decode(framed(1));
    expect(await decode(framed(300, newer, { ...record, extra: 'x' }))).not.toHaveProperty('extra');
    expect(asked).toEqual([1, 300]);
  });

  test.each([
    ['no id', Uint8Array.of(0, 0, 0), 'undecodable'],
    ['another magic byte', Uint8Array.of(1, 0, 0, 0, 1, 0), 'undecodable'],
    ['an id that the registry does not know', framed(77), 'unknown_schema'],
    ['a schema that is none', framed(4), 'incompatible_schema'],
    ['a schema of something else', framed(5, 'string', 'text' as never), 'incompatible_schema'],
    ['a value cut short', framed(1).subarray(0, 12), 'undecodable'],
  ])('with %s is a BAD_RECORD', async (_, bytes, word) => {
    expect(await reason(decode(bytes))).toBe(word);
  });

  test('feeds the stream, where single-object records are then the bad ones', async () => {
    const log = new MemoryLog();
    await log.createTopic('images');
    await log.append('images', [{ value: framed(1) }, { value: imageBatch(1, 1) }]);
    const batches = await take(log, { ...SETTINGS, read: decode });
    expect(batches.map(({ ids }) => ids[0]!.offset)).toEqual([0]);
  });
});
