import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { HostTensors } from '../engine/engine.ts';

/**
 * The negative queue (MoCo's, He et al. 2020) as a ring of K rows on the device. Row i of its history lies in slot
 * i mod K, so `pointer` is the slot of the next row and, when it is full, of the oldest. Rows are valid by count,
 * never random filling: before the first wrap the valid slots are 0 .. valid - 1, then all.
 */
export interface NegativeQueue {
  /** (K, d) float32 */
  readonly rows: Tensor2D;
  /** (K) int32: the class of each row. */
  readonly labels: Tensor1D;
  /** (K) int32: the step that made each row. */
  readonly steps: Tensor1D;
  /** int32: slot of the next row. */
  readonly pointer: Scalar;
  /** int32: rows that count, at most K. */
  readonly valid: Scalar;
}

/** An empty queue of K rows of dimension d, as engine state; each name is prefixed with `queue.`. */
export function emptyQueue(k: number, dim: number): HostTensors {
  return {
    'queue.rows': { shape: [k, dim], dtype: 'float32', data: new Float32Array(k * dim) },
    'queue.labels': { shape: [k], dtype: 'int32', data: new Int32Array(k) },
    'queue.steps': { shape: [k], dtype: 'int32', data: new Int32Array(k) },
    'queue.pointer': { shape: [], dtype: 'int32', data: new Int32Array(1) },
    'queue.valid': { shape: [], dtype: 'int32', data: new Int32Array(1) },
  };
}

/** The queue among a program's state. */
export function queueOf(state: Record<string, Tensor>): NegativeQueue {
  return {
    rows: state['queue.rows'] as Tensor2D,
    labels: state['queue.labels'] as Tensor1D,
    steps: state['queue.steps'] as Tensor1D,
    pointer: state['queue.pointer'] as Scalar,
    valid: state['queue.valid'] as Scalar,
  };
}

/** (K) float32: 1 where a slot holds a valid row, else 0. */
export function validMask(queue: NegativeQueue): Tensor1D {
  return tf.cast(tf.less(tf.range(0, queue.rows.shape[0], 1, 'int32'), queue.valid), 'float32');
}

/**
 * (K) float32: 1 where a slot holds a valid row that was made at most `maxAge` steps before `step` (null: whenever), else 0.
 */
export function countingMask(queue: NegativeQueue, step: Scalar, maxAge: number | null): Tensor1D {
  const valid = validMask(queue);
  if (maxAge === null) return valid;
  const young = tf.lessEqual(tf.sub(step, queue.steps), tf.scalar(maxAge, 'int32'));
  return tf.mul(valid, tf.cast(young, 'float32'));
}

/**
 * The queue after `keys` (B, d) with `labels` (B) of `step` came in, oldest out first. Exact for any K and B: of a batch
 * larger than K only its last K rows stay. Call it after the loss: a batch must not meet its own keys.
 */
export function enqueue(queue: NegativeQueue, keys: Tensor2D, labels: Tensor1D, step: Scalar): Record<string, Tensor> {
  const k = queue.rows.shape[0];
  const b = keys.shape[0];
  const stay = Math.min(b, k);
  const skipped = b - stay;
  const slots = tf.mod(tf.add(queue.pointer, tf.range(skipped, b, 1, 'int32')), tf.scalar(k, 'int32'));
  const indices = tf.reshape(slots, [stay, 1]);
  const write = <T extends Tensor>(into: T, values: Tensor): T =>
    tf.tensorScatterUpdate(into, indices, values) as Tensor as T;
  return {
    'queue.rows': write(queue.rows, tf.slice(keys, [skipped, 0], [stay, -1])),
    'queue.labels': write(queue.labels, tf.slice(labels, [skipped], [stay])),
    'queue.steps': write(queue.steps, tf.mul(tf.onesLike(tf.slice(labels, [skipped], [stay])), step)),
    'queue.pointer': tf.mod(tf.add(queue.pointer, tf.scalar(b, 'int32')), tf.scalar(k, 'int32')),
    'queue.valid': tf.minimum(tf.add(queue.valid, tf.scalar(b, 'int32')), tf.scalar(k, 'int32')),
  };
}

/**
 * A queue's whole life, for a program of one's own: its state begins as `NegativeQueue.empty(k, dim)`; in the program's function it is
 * `NegativeQueue.of(state)`, the loss takes its `rows` and its `mask`, and what `enqueue` returns is part of the state returned.
 */
export const NegativeQueue = {
  empty: emptyQueue,
  of: queueOf,
  mask: validMask,
  maskByAge: countingMask,
  enqueue,
} as const;
