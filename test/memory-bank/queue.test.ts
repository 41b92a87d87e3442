import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine, openWasmEngine } from '../../src/engine/eager/eager-engine.ts';
import type { Engine, HostTensors } from '../../src/engine/engine.ts';
import { countingMask, emptyQueue, enqueue, queueOf, validMask } from '../../src/memory-bank/queue.ts';

interface Row {
  readonly key: readonly number[];
  readonly label: number;
  readonly step: number;
}

/** What the ring holds by age, oldest first, read from its state on the host. */
function contents(state: HostTensors): Row[] {
  const [k, dim] = state['queue.rows']!.shape as [number, number];
  const pointer = state['queue.pointer']!.data[0]!;
  const valid = state['queue.valid']!.data[0]!;
  return Array.from({ length: valid }, (_, i) => {
    const slot = (pointer - valid + i + k) % k;
    return {
      key: [...state['queue.rows']!.data.subarray(slot * dim, (slot + 1) * dim)],
      label: state['queue.labels']!.data[slot]!,
      step: state['queue.steps']!.data[slot]!,
    };
  });
}

const DIM = 2;

/** A program that enqueues batches of `b` into a queue of `k`, and shows the mask as it was before. */
const queueProgram = (engine: Engine, k: number, b: number) =>
  engine.compile({
    name: 'queue',
    seed: 0,
    state: emptyQueue(k, DIM),
    inputs: {
      keys: { shape: [b, DIM], dtype: 'float32' },
      labels: { shape: [b], dtype: 'int32' },
      step: { shape: [], dtype: 'int32' },
    },
    fn: (state, inputs) => {
      const queue = queueOf(state);
      return {
        state: enqueue(
          queue,
          inputs['keys'] as tf.Tensor2D,
          inputs['labels'] as tf.Tensor1D,
          inputs['step'] as tf.Scalar,
        ),
        outputs: { mask: validMask(queue) },
      };
    },
  });

/** Batch number n: rows that no other batch has. */
const batchOf = (b: number, n: number): Row[] =>
  Array.from({ length: b }, (_, i) => ({
    key: [n * b + i + 1, -(n * b + i + 1) / 2],
    label: (n + i) % 7,
    step: n + 1,
  }));

const inputsOf = (rows: readonly Row[]) => ({
  keys: Float32Array.from(rows.flatMap((row) => row.key)),
  labels: Int32Array.from(rows, (row) => row.label),
  step: Int32Array.of(rows[0]!.step),
});

describe.each([
  { name: 'cpu', open: openCpuEngine },
  { name: 'wasm', open: openWasmEngine },
])('the queue on $name', ({ open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });

  it('is a list of which only the newest K stay, for any K, any B and any number of batches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 9 }),
        async (k, b, batches) => {
          const program = await queueProgram(engine, k, b);
          let list: Row[] = [];
          for (let n = 0; n < batches; n++) {
            const rows = batchOf(b, n);
            const { mask } = await program.run(inputsOf(rows), n);
            // Before the first wrap the valid slots are the first ones, then all.
            expect([...mask!.data]).toEqual(Array.from({ length: k }, (_, i) => (i < list.length ? 1 : 0)));
            list = [...list, ...rows].slice(-k);
            const state = await program.readState();
            expect(contents(state)).toEqual(list);
            expect(state['queue.pointer']!.data[0]).toBe(((n + 1) * b) % k);
            expect(state['queue.valid']!.data[0]).toBe(Math.min(k, (n + 1) * b));
          }
          program.dispose();
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  });

  it('puts row i of its history into slot i mod K, so that a rebuilt queue is the same bit for bit', async () => {
    const [k, b] = [7, 3];
    const program = await queueProgram(engine, k, b);
    for (let n = 0; n < 6; n++) await program.run(inputsOf(batchOf(b, n)), n);
    const history = Array.from({ length: 6 }, (_, n) => batchOf(b, n)).flat();
    const rows = (await program.readState())['queue.rows']!.data;
    for (let i = history.length - k; i < history.length; i++) {
      expect([...rows.subarray((i % k) * DIM, (i % k) * DIM + DIM)]).toEqual(history[i]!.key);
    }
    program.dispose();
  });

  it('moves only the slots of the batch', async () => {
    const program = await queueProgram(engine, 5, 2);
    for (let n = 0; n < 3; n++) await program.run(inputsOf(batchOf(2, n)), n);
    const before = await program.readState();
    await program.run(inputsOf(batchOf(2, 3)), 3);
    const after = await program.readState();
    const changed = [0, 1, 2, 3, 4].filter(
      (slot) => after['queue.steps']!.data[slot] !== before['queue.steps']!.data[slot],
    );
    expect(changed).toEqual([1, 2]); // rows 6 and 7 of the history
    for (const slot of [0, 3, 4]) {
      const row = (state: HostTensors) => [...state['queue.rows']!.data.subarray(slot * DIM, slot * DIM + DIM)];
      expect(row(after)).toEqual(row(before));
    }
    program.dispose();
  });
});

describe('an empty queue', () => {
  it('has no valid row, and zeros in all its slots', async () => {
    await openCpuEngine();
    const state = emptyQueue(4, 3);
    const asTensors = Object.fromEntries(
      Object.entries(state).map(([name, { data, shape, dtype }]) => [name, tf.tensor(data, [...shape], dtype)]),
    );
    expect([...validMask(queueOf(asTensors)).dataSync()]).toEqual([0, 0, 0, 0]);
    expect(state['queue.rows']!.data).toEqual(new Float32Array(12));
  });
});

it('counts the valid rows that are at most so old, and all valid ones where no age is set', async () => {
  await openCpuEngine();
  const state = emptyQueue(5, 1);
  const steps = Int32Array.of(7, 8, 9, 4, 0);
  const asTensors = Object.fromEntries(
    Object.entries({ ...state, 'queue.steps': { ...state['queue.steps']!, data: steps } }).map(([name, t]) => [
      name,
      tf.tensor(t.data, [...t.shape], t.dtype),
    ]),
  );
  const queue = { ...queueOf(asTensors), valid: tf.scalar(4, 'int32') };
  const counting = (maxAge: number | null) => [...countingMask(queue, tf.scalar(10, 'int32'), maxAge).dataSync()];
  expect(counting(null)).toEqual([1, 1, 1, 1, 0]);
  expect(counting(100)).toEqual([1, 1, 1, 1, 0]);
  expect(counting(2)).toEqual([0, 1, 1, 0, 0]);
  expect(counting(1)).toEqual([0, 0, 1, 0, 0]);
});
