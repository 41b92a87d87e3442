import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '../engine/engine.ts';
import { type TransportSettings, trainInterval } from '../transport/transport.ts';

/** One time for each of `b` samples, uniform where the transport is trained. */
export function drawTime(transport: TransportSettings, random: Random, purpose: string, b: number): Tensor1D {
  const { from, to } = trainInterval(transport);
  const unit = random.uniform(purpose, [b]) as Tensor1D;
  return from === 0 && to === 1 ? unit : (tf.add(tf.mul(unit, to - from), from) as Tensor1D);
}
