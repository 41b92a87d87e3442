import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../src/log/kafka/crc32c.ts';
import {
  BATCH_OVERHEAD,
  encodeBatch,
  readBatch,
  readBatchHeader,
  recordBytesAtMost,
} from '../../src/log/kafka/record-batch.ts';
import type { LogRecord, NewRecord } from '../../src/log/log.ts';

const require = createRequire(import.meta.url);
/** An independent implementation of the format. */
const kafkajs = {
  Decoder: require('kafkajs/src/protocol/decoder'),
  decodeBatch: require('kafkajs/src/protocol/recordBatch/v0/decoder'),
  encodeBatch: require('kafkajs/src/protocol/recordBatch/v0').RecordBatch,
  encodeRecord: require('kafkajs/src/protocol/recordBatch/record/v0'),
};

const producer = { producerId: 4711n, producerEpoch: 3, baseSequence: 17, transactional: true };
const record: fc.Arbitrary<NewRecord> = fc.record({
  timestamp: fc.oneof(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 0, max: 2 ** 51 })),
  key: fc.option(fc.uint8Array({ maxLength: 200 })),
  value: fc.option(fc.uint8Array({ maxLength: 400 })),
  headers: fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.uint8Array({ maxLength: 30 })),
});
const records = fc.array(record, { minLength: 1, maxLength: 70 });

const all = async (batch: Buffer, from = 0): Promise<LogRecord[]> => {
  const read: LogRecord[] = [];
  const iterator = await readBatch(batch, 0, 't', 2, from);
  for (let next = iterator.next(); !next.done; next = iterator.next()) read.push(next.value);
  return read;
};

const given = ({ timestamp, key = null, value, headers = {} }: NewRecord): unknown => [
  timestamp,
  key,
  value,
  Object.entries(headers),
];

describe('a record batch', () => {
  test('is read as it was written, from any offset on', () =>
    fc.assert(
      fc.asyncProperty(records, fc.nat(80), async (written, from) => {
        const batch = encodeBatch(written, 0, producer);
        batch.writeBigInt64BE(1000n, 0); // the broker gives the offset
        const read = await all(batch, 1000 + from);
        expect(read.map(given)).toEqual(written.slice(from).map(given));
        expect(read.map(({ offset }) => offset)).toEqual(written.map((_, index) => 1000 + index).slice(from));
        expect(readBatchHeader(batch, 0)).toEqual({
          baseOffset: 1000,
          lastOffset: 999 + written.length,
          bytes: batch.length,
          producerId: 4711n,
          transactional: true,
          control: null,
        });
        for (const cut of [0, 60, batch.length - 1]) expect(readBatchHeader(batch.subarray(0, cut), 0)).toBeNull();
        expect(batch.length).toBeLessThanOrEqual(
          written.reduce((sum, one) => sum + recordBytesAtMost(one), BATCH_OVERHEAD),
        );
      }),
    ));

  test('is read the same by kafkajs', () =>
    fc.assert(
      fc.asyncProperty(records, async (written) => {
        const decoded = await kafkajs.decodeBatch(new kafkajs.Decoder(encodeBatch(written, 0, producer)));
        expect(decoded).toMatchObject({ producerId: '4711', producerEpoch: 3, firstSequence: 17, inTransaction: true });
        const plain = (bytes: Uint8Array | null): unknown => (bytes === null ? null : new Uint8Array(bytes));
        type Decoded = { timestamp: string; key: Buffer | null; value: Buffer | null; headers: Record<string, Buffer> };
        expect(
          decoded.records.map(({ timestamp, key, value }: Decoded) => [Number(timestamp), plain(key), plain(value)]),
        ).toEqual(written.map(({ timestamp, key = null, value }) => [timestamp, key, value]));
      }),
    ));

  test.each([0, 1])('of kafkajs is read, with compression %d', async (compression) => {
    const written = Array.from({ length: 40 }, (_, index) => ({
      timestamp: 1_700_000_000_000 + index,
      key: Buffer.from([index]),
      value: Buffer.alloc(500, index),
      headers: { n: Buffer.from(String(index)) },
    }));
    const encoded = await kafkajs.encodeBatch({
      compression,
      firstTimestamp: 1_700_000_000_000,
      maxTimestamp: 1_700_000_000_039,
      lastOffsetDelta: 39,
      records: written.map((one, index) => kafkajs.encodeRecord({ ...one, offsetDelta: index, timestampDelta: index })),
    });
    expect(encoded.buffer.length < 5000).toBe(compression === 1);
    const read = await all(encoded.buffer);
    expect(
      read.map(({ timestamp, key, value, headers }) => [
        timestamp,
        Buffer.from(key!),
        Buffer.from(value!),
        Buffer.from(headers['n']!),
      ]),
    ).toEqual(written.map(({ timestamp, key, value, headers }) => [timestamp, key, value, headers.n]));
  });

  test('with a bit flipped anywhere behind its checksum is damage', async () => {
    const batch = encodeBatch([{ value: Buffer.from('value'), key: null, timestamp: 1 }], 0, producer);
    for (let at = 21; at < batch.length; at++) {
      batch[at]! ^= 0x10;
      await expect(all(batch)).rejects.toMatchObject({
        code: 'STATE_DAMAGED',
        message: expect.stringContaining('partition 2'),
      });
      batch[at]! ^= 0x10;
    }
    expect(await all(batch)).toHaveLength(1);
  });

  test('with a compression that is not at hand says which, and what to do', async () => {
    const batch = encodeBatch([{ value: gzipSync('x') }], 0, producer);
    batch.writeInt16BE(3, 21);
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
    await expect(all(batch)).rejects.toMatchObject({
      code: 'LOG_FAILED',
      message: expect.stringContaining('lz4'),
      hint: expect.stringContaining('gzip'),
    });
  });
});

test('CRC-32C gives the values of RFC 3720, B.4', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, at) => at);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(ascending)).toBe(0x46dd794e);
  expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c);
  expect(crc32c(new Uint8Array(0))).toBe(0);
});

test('CRC-32C of any length, wherever the bytes lie, is the one that is taken bit by bit', () => {
  const bitByBit = (bytes: Uint8Array): number => {
    let sum = -1;
    for (const byte of bytes) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f63b78 : 0);
    }
    return (sum ^ -1) >>> 0;
  };
  const all = Uint8Array.from({ length: 150_000 }, (_, i) => (i * 2654435761) >>> 13);
  for (let begin = 0; begin < 8; begin++)
    for (let end = begin; end <= 64; end++)
      expect(crc32c(all.subarray(begin, end))).toBe(bitByBit(all.subarray(begin, end)));
  // From 4 KB on in vectors, by stretches of two lengths, and what is left of them by tables.
  for (const length of [4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 69_632, 131_072 + 8_192 + 77])
    for (const begin of [0, 1, 3])
      expect(crc32c(all.subarray(begin, begin + length))).toBe(bitByBit(all.subarray(begin, begin + length)));
});
