import { createHash } from 'node:crypto';
import type { Negatives } from '../codec/records.ts';
import type { HostTensors } from '../engine/engine.ts';

/**
 * The negative queue on the host: the same ring as on the device (src/memory-bank/queue.ts), slot for slot, bit for bit.
 * Row i of the history lies in slot i mod capacity, so its content is a function of the rows ever put in, which is what
 * the negatives topic holds. The trainer keeps one beside the device's ring to digest it; recovery rebuilds one.
 */
export interface QueueHistory {
  /** K, at least 1. */
  readonly capacity: number;
  readonly dim: number;
  /** Rows ever put in; the last min(count, capacity) of them are valid. */
  count: number;
  /** (K, dim) float32; zeros where no row came yet. */
  readonly rows: Float32Array;
  /** (K): the class of each row. */
  readonly labels: Int32Array;
  /** (K): the step that made each row. */
  readonly steps: Int32Array;
}

export function emptyHistory(capacity: number, dim: number): QueueHistory {
  return {
    capacity,
    dim,
    count: 0,
    rows: new Float32Array(capacity * dim),
    labels: new Int32Array(capacity),
    steps: new Int32Array(capacity),
  };
}

/** The rows one step puts in, as the negatives topic stores them: a copy. `keys` is (labels.length, dim). */
export function negativesOf(step: number, keys: Float32Array, labels: ArrayLike<number>): Negatives {
  const rows = labels.length;
  return {
    step,
    rows,
    dim: rows === 0 ? 0 : keys.length / rows,
    keys: new Uint8Array(keys.slice().buffer),
    labels: Array.from(labels),
  };
}

/** Puts one step's rows in, the oldest rows out, in place. Of more rows than the capacity the last stay. */
export function appendRows(queue: QueueHistory, { step, rows, dim, keys, labels }: Negatives): void {
  if (rows > 0 && dim !== queue.dim) throw new RangeError(`rows of ${dim} numbers in a queue of ${queue.dim}`);
  if (keys.length !== rows * dim * 4 || labels.length !== rows) throw new RangeError('rows, keys and labels differ');
  const bytes = new Uint8Array(queue.rows.buffer, queue.rows.byteOffset, queue.rows.byteLength);
  const rowBytes = queue.dim * 4;
  for (let row = Math.max(0, rows - queue.capacity); row < rows; row++) {
    const slot = (queue.count + row) % queue.capacity;
    bytes.set(keys.subarray(row * rowBytes, (row + 1) * rowBytes), slot * rowBytes);
    queue.labels[slot] = labels[row]!;
    queue.steps[slot] = step;
  }
  queue.count += rows;
}

/**
 * The queue that held `count` rows in all when the last of `records` came in. The records (oldest first) must bring the last
 * min(count, capacity) rows or more, but no more than count.
 */
export function rebuildQueue(
  shape: { readonly capacity: number; readonly dim: number; readonly count: number },
  records: readonly Negatives[],
): QueueHistory {
  const brought = records.reduce((sum, { rows }) => sum + rows, 0);
  if (brought > shape.count || brought < Math.min(shape.count, shape.capacity))
    throw new RangeError(`${brought} rows cannot rebuild a queue of ${shape.capacity} after ${shape.count}`);
  const queue = emptyHistory(shape.capacity, shape.dim);
  queue.count = shape.count - brought;
  for (const record of records) appendRows(queue, record);
  return queue;
}

/** The queue as the engine's state, sharing its memory. */
export function queueState(queue: QueueHistory): HostTensors {
  const { capacity, dim, count, rows, labels, steps } = queue;
  const scalar = (value: number) => ({ shape: [], dtype: 'int32', data: Int32Array.of(value) }) as const;
  return {
    'queue.rows': { shape: [capacity, dim], dtype: 'float32', data: rows },
    'queue.labels': { shape: [capacity], dtype: 'int32', data: labels },
    'queue.steps': { shape: [capacity], dtype: 'int32', data: steps },
    'queue.pointer': scalar(count % capacity),
    'queue.valid': scalar(Math.min(count, capacity)),
  };
}

/**
 * What a commit records of the queue.
 *
 *   digest := SHA-256(tag capacity dim count steps labels rows)
 *   tag    := "repulsor queue 1" in ASCII, one zero byte
 *   capacity, dim := u32; count := u64
 *   steps, labels := i32 per valid row; rows := dim f32 per valid row; all oldest row first, little-endian
 */
export function queueDigest(queue: QueueHistory): Uint8Array {
  const { capacity, dim, count, rows, labels, steps } = queue;
  const shape = new DataView(new ArrayBuffer(16));
  shape.setUint32(0, capacity, true);
  shape.setUint32(4, dim, true);
  shape.setBigUint64(8, BigInt(count), true);
  const hash = createHash('sha256').update('repulsor queue 1\0', 'ascii').update(shape);
  // Until the first wrap the valid rows lie in slots 0 .. count - 1; after it the oldest lies at the pointer.
  const split = count < capacity ? 0 : count % capacity;
  const end = Math.min(count, capacity);
  for (const [column, width] of [[steps, 1] as const, [labels, 1] as const, [rows, dim] as const])
    hash.update(column.subarray(split * width, end * width)).update(column.subarray(0, split * width));
  return hash.digest();
}
