import { createHash } from 'node:crypto';
import type { Negatives } from '../codec/records.ts';
import type { HostTensors } from '../engine/engine.ts';

/**
 * The negative queue on the host: the same ring as on the device (src/memory-bank/queue.ts), slot for slot, bit for bit.
 * Row i of the history lies in slot i mod capacity, so its content is a function of the rows ever put in, which is what
 * the negatives topic holds: recovery rebuilds it from there.
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
  const hash = createHash('sha256');
  for (const piece of digestedBytes(queue)) hash.update(piece);
  return hash.digest();
}

/** What `queueDigest` hashes, in pieces, without a copy of the rows. */
export function digestedBytes(queue: QueueHistory): Uint8Array[] {
  const { capacity, dim, count, rows, labels, steps } = queue;
  const shape = new DataView(new ArrayBuffer(16));
  shape.setUint32(0, capacity, true);
  shape.setUint32(4, dim, true);
  shape.setBigUint64(8, BigInt(count), true);
  // Until the first wrap the valid rows lie in slots 0 .. count - 1; after it the oldest lies at the pointer.
  const split = count < capacity ? 0 : count % capacity;
  const end = Math.min(count, capacity);
  const columns = [[steps, 1] as const, [labels, 1] as const, [rows, dim] as const].flatMap(([column, width]) => [
    column.subarray(split * width, end * width),
    column.subarray(0, split * width),
  ]);
  const bytes = columns.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength));
  return [Buffer.from('repulsor queue 1\0', 'ascii'), new Uint8Array(shape.buffer), ...bytes];
}

/** The ring as the engine holds it, after `count` rows: views of what is given. */
export function queueFromState(state: HostTensors, count: number): QueueHistory {
  const rows = state['queue.rows']!;
  return {
    capacity: rows.shape[0]!,
    dim: rows.shape[1]!,
    count,
    rows: rows.data as Float32Array,
    labels: state['queue.labels']!.data as Int32Array,
    steps: state['queue.steps']!.data as Int32Array,
  };
}
