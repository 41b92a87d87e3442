import { expect, test } from 'vitest';
import { ReadMemory } from '../../src/log/read-memory.ts';

const record = (value: Uint8Array | null, key: Uint8Array | null = null) => ({
  topic: 't',
  partition: 0,
  offset: 0,
  timestamp: 0,
  key,
  value,
  headers: {},
});

test('a piece is filled anew only when its reader and every record have let it go', () => {
  const memory = new ReadMemory();
  const piece = memory.take(1000);
  const records = [record(piece.subarray(0, 400)), record(null, piece.subarray(400))];
  for (const each of records) memory.holdRecord(each);
  for (const end of [
    () => memory.release(piece),
    () => memory.releaseRecord(records[0]!),
    () => memory.releaseRecord(records[1]!),
  ]) {
    expect(memory.take(1000).buffer).not.toBe(piece.buffer);
    end();
  }
  expect(memory.take(900).buffer).toBe(piece.buffer);
  expect(memory.take(900).buffer).not.toBe(piece.buffer);
});

test('a piece that does not fit goes, so that no more are kept than were in use', () => {
  const memory = new ReadMemory();
  const small = [memory.take(10), memory.take(10)];
  const large = memory.take(1000);
  for (const piece of [...small, large]) memory.release(piece);
  expect(memory.take(400).buffer).not.toBe(large.buffer); // more than half of it would lie idle: one of the small ones goes
  expect(memory.take(2000).byteLength).toBe(2000); // the other
  expect(memory.take(700).buffer).toBe(large.buffer);
  expect(small.map(({ buffer }) => buffer)).not.toContain(memory.take(10).buffer);
});

test('other memory is nobody’s to give', () => {
  const memory = new ReadMemory();
  const own = Buffer.alloc(64);
  memory.holdRecord(record(own));
  memory.releaseRecord(record(own));
  memory.releaseRecord(record(null));
  memory.release(own);
  expect(memory.take(64).buffer).not.toBe(own.buffer);
});
