import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  appendRows,
  emptyHistory,
  negativesOf,
  queueDigest,
  queueState,
  rebuildQueue,
} from '../../src/memory-bank/changelog.ts';
import { emptyQueue } from '../../src/memory-bank/queue.ts';

interface Row {
  step: number;
  label: number;
  key: number[];
}

/** The queue as a plain list of all rows ever put in: what the ring must agree with. */
function naive(capacity: number, dim: number, batches: number[], seed: number) {
  let next = seed;
  const history: Row[] = [];
  const records = batches.map((size, i) => {
    const rows = Array.from({ length: size }, () => ({
      step: i + 1,
      label: next % 11,
      key: Array.from({ length: dim }, () => Math.fround(Math.sin(next++))),
    }));
    history.push(...rows);
    return negativesOf(
      i + 1,
      Float32Array.from(rows.flatMap(({ key }) => key)),
      rows.map(({ label }) => label),
    );
  });
  const slots: (Row | null)[] = Array(capacity).fill(null);
  history.forEach((row, i) => {
    slots[i % capacity] = row;
  });
  return { history, records, slots };
}

const shapes = {
  capacity: fc.integer({ min: 1, max: 23 }),
  dim: fc.integer({ min: 1, max: 5 }),
  batches: fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 12 }),
  seed: fc.integer({ min: 0, max: 1000 }),
};

test('row i of the history lies in slot i mod K, whatever the batches', () => {
  fc.assert(
    fc.property(fc.record(shapes), ({ capacity, dim, batches, seed }) => {
      const { history, records, slots } = naive(capacity, dim, batches, seed);
      const queue = emptyHistory(capacity, dim);
      for (const record of records) appendRows(queue, record);
      expect(queue.count).toBe(history.length);
      expect([...queue.steps]).toEqual(slots.map((row) => row?.step ?? 0));
      expect([...queue.labels]).toEqual(slots.map((row) => row?.label ?? 0));
      expect([...queue.rows]).toEqual(slots.flatMap((row) => row?.key ?? Array(dim).fill(0)));
    }),
  );
});

test('the queue rebuilt from its last records equals the one that saw them all, slot for slot', () => {
  fc.assert(
    fc.property(fc.record(shapes), ({ capacity, dim, batches, seed }) => {
      const { records } = naive(capacity, dim, batches, seed);
      const queue = emptyHistory(capacity, dim);
      for (const record of records) appendRows(queue, record);
      let brought = 0;
      let from = records.length;
      while (from > 0 && brought < Math.min(queue.count, capacity)) brought += records[--from]!.rows;
      for (let more = from; more >= 0; more--) expect(rebuildQueue(queue, records.slice(more))).toEqual(queue);
      if (brought > 0) expect(() => rebuildQueue(queue, records.slice(from + 1))).toThrow(RangeError);
    }),
  );
});

test('the digest is over shape, count and the valid rows oldest first', () => {
  fc.assert(
    fc.property(fc.record(shapes), ({ capacity, dim, batches, seed }) => {
      const { history, records } = naive(capacity, dim, batches, seed);
      const queue = emptyHistory(capacity, dim);
      for (const record of records) appendRows(queue, record);
      const valid = history.slice(-capacity);
      const head = Buffer.alloc(16);
      head.writeUInt32LE(capacity, 0);
      head.writeUInt32LE(dim, 4);
      head.writeBigUInt64LE(BigInt(history.length), 8);
      const expected = createHash('sha256')
        .update(Buffer.from('repulsor queue 1\0', 'latin1'))
        .update(head)
        .update(Int32Array.from(valid, ({ step }) => step))
        .update(Int32Array.from(valid, ({ label }) => label))
        .update(Float32Array.from(valid.flatMap(({ key }) => key)))
        .digest();
      expect(Buffer.from(queueDigest(queue)).equals(expected)).toBe(true);
    }),
  );
});

test('the digest tells a changed bit, label, step, count or capacity', () => {
  const make = () => {
    const queue = emptyHistory(3, 2);
    appendRows(queue, negativesOf(1, Float32Array.of(1, 2, 3, 4), [5, 6]));
    return queue;
  };
  const changed = [make(), make(), make(), make(), { ...make(), count: 3 }];
  new Uint32Array(changed[1]!.rows.buffer)[0]! ^= 1;
  changed[2]!.labels[1] = 7;
  changed[3]!.steps[0] = 2;
  const larger = emptyHistory(4, 2);
  appendRows(larger, negativesOf(1, Float32Array.of(1, 2, 3, 4), [5, 6]));
  const digests = [...changed, larger].map((queue) => Buffer.from(queueDigest(queue)).toString('hex'));
  expect(new Set(digests).size).toBe(digests.length);
});

test('as engine state it has the names, shapes and dtypes of the queue on the device', () => {
  const spec = (state: ReturnType<typeof emptyQueue>) =>
    Object.entries(state).map(([name, { shape, dtype, data }]) => [name, [...shape], dtype, data.length]);
  expect(spec(queueState(emptyHistory(7, 3)))).toEqual(spec(emptyQueue(7, 3)));
  const queue = emptyHistory(7, 1);
  appendRows(queue, negativesOf(1, new Float32Array(10), new Int32Array(10)));
  expect([...queueState(queue)['queue.pointer']!.data, ...queueState(queue)['queue.valid']!.data]).toEqual([3, 7]);
});

test('rows of another width are refused', () => {
  const queue = emptyHistory(3, 2);
  expect(() => appendRows(queue, negativesOf(1, new Float32Array(3), [0]))).toThrow(RangeError);
  expect(() => appendRows(queue, { ...negativesOf(1, new Float32Array(2), [0]), labels: [] })).toThrow(RangeError);
});
