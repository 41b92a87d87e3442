import type { HostTensors } from '../engine/engine.ts';
import { type QueueHistory, queueState } from './changelog.ts';

/** What a look at the queue should tell: whether it is full, how old its rows are, whose they are, how long. */
export interface QueueSummary {
  /** Valid rows, of `capacity`. */
  readonly rows: number;
  readonly capacity: number;
  readonly dim: number;
  /** Rows ever put in. */
  readonly count: number;
  /** Slot of the next row. */
  readonly pointer: number;
  /** Steps since a row was made; null when there is none. */
  readonly age: Spread | null;
  /** Of each block whose keys the rows hold side by side, the Euclidean lengths of these. */
  readonly norms: ReadonlyArray<{ readonly block: number; readonly norm: Spread | null }>;
  /** Rows of each class, by class. */
  readonly labels: ReadonlyArray<{ readonly label: number; readonly rows: number }>;
}

export interface Spread {
  readonly least: number;
  readonly median: number;
  readonly most: number;
}

/** `step`: the committed step that the queue is of; `blocks`: those whose keys a row holds, in their order. */
export function queueSummary(queue: QueueHistory, step: number, blocks: readonly number[]): QueueSummary {
  const { capacity, dim, count } = queue;
  const rows = Math.min(count, capacity);
  const ages = Float64Array.from(queue.steps.subarray(0, rows), (made) => step - made);
  const d = dim / blocks.length;
  const norms = blocks.map(() => new Float64Array(rows));
  const labels = new Map<number, number>();
  for (let row = 0; row < rows; row++) {
    for (const [i, ofBlock] of norms.entries()) {
      const numbers = queue.rows.subarray(row * dim + i * d, row * dim + (i + 1) * d); // (d)
      ofBlock[row] = Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0));
    }
    const label = queue.labels[row]!;
    labels.set(label, (labels.get(label) ?? 0) + 1);
  }
  return {
    rows,
    capacity,
    dim,
    count,
    pointer: count % capacity,
    age: spread(ages),
    norms: blocks.map((block, i) => ({ block, norm: spread(norms[i]!) })),
    labels: [...labels].sort(([a], [b]) => a - b).map(([label, of]) => ({ label, rows: of })),
  };
}

function spread(values: Float64Array): Spread | null {
  if (values.length === 0) return null;
  const sorted = values.slice().sort();
  return { least: sorted[0]!, median: sorted[sorted.length >> 1]!, most: sorted[sorted.length - 1]! };
}

/**
 * The queue as tensors for others: rows (K, d of all blocks), labels (K), steps (K), pointer and valid (scalars). Slot i of the ring is
 * row i; slots from `valid` on are zeros.
 */
export function queueTensors(queue: QueueHistory): HostTensors {
  return Object.fromEntries(Object.entries(queueState(queue)).map(([name, t]) => [name.replace(/^queue\./, ''), t]));
}
