import { expect, test } from 'vitest';
import { appendRows, emptyHistory, negativesOf } from '../../src/memory-bank/changelog.ts';
import { queueSummary } from '../../src/memory-bank/queue-summary.ts';

test('the keys of several blocks side by side have lengths of their own; classes and ages are those of the row', () => {
  const queue = emptyHistory(4, 4);
  // Block 2 of lengths 5 and 13, block 7 of lengths 1 and 0.
  appendRows(queue, negativesOf(3, Float32Array.of(3, 4, 0, 1, 5, 12, 0, 0), [8, 2]));
  expect(queueSummary(queue, 5, [2, 7])).toMatchObject({
    rows: 2,
    capacity: 4,
    age: { least: 2, most: 2 },
    norms: [
      { block: 2, norm: { least: 5, most: 13 } },
      { block: 7, norm: { least: 0, most: 1 } },
    ],
    labels: [
      { label: 2, rows: 1 },
      { label: 8, rows: 1 },
    ],
  });
  expect(queueSummary(queue, 5, [1]).norms).toEqual([
    { block: 1, norm: { least: Math.sqrt(26), median: 13, most: 13 } },
  ]);
  expect(queueSummary(emptyHistory(4, 4), 0, [2, 7]).norms).toEqual([
    { block: 2, norm: null },
    { block: 7, norm: null },
  ]);
});
