import { normals } from '../../src/random/philox.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';

export type StepInputs = Record<string, Float32Array | Int32Array>;

/** Random images and labels, and schedules in full swing. */
export function stepBatch({ operators, model, optimizer }: Pipeline, step: number): StepInputs {
  const { batch } = operators;
  const size = model.input.reduce((product, n) => product * n, batch);
  return {
    images: normals(0, 'images', step, size),
    labels: Int32Array.from({ length: batch }, (_, i) => (i + step) % model.classes),
    step: Int32Array.of(step),
    learningRate: Float32Array.of(optimizer.learningRate),
    queueWeight: Float32Array.of(1),
  };
}
