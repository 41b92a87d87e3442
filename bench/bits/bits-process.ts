/** A child of the bits benchmark: trains one shape from its beginning, and tells a digest of every step. */

import { createHash } from 'node:crypto';
import { openEngine } from '../../src/engine/choose.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { initialState } from '../../src/trainer/train-state.ts';
import { trainingLanes } from '../../src/trainer/training-lanes.ts';
import { task } from '../child.ts';
import { type Shape, shapePipeline } from '../train-step/shapes.ts';

export interface BitsTask {
  readonly shape: Shape;
  readonly overrides: readonly string[];
  readonly steps: number;
}

export interface BitsFigures {
  readonly engine: string;
  /** After each step, of all that came out so far; the last one also of the state. */
  readonly digests: readonly string[];
}

const { shape, overrides, steps }: BitsTask = task();
const pipeline = await shapePipeline(shape, overrides);
const { engine } = await openEngine({ name: 'native', lanes: trainingLanes(pipeline) });
const program = await compileStep(engine, pipeline, initialState(pipeline, engine.room));
const { batch } = pipeline.operators;
const pixels = batch * pipeline.model.input.reduce((product, size) => product * size, 1);
const hash = createHash('sha256');
const digests: string[] = [];
for (let step = 1; step <= steps; step++) {
  const images = normals(0, 'images', step, pixels);
  const labels = Int32Array.from(uniforms(0, 'labels', step, batch), (u) => Math.floor(u * pipeline.model.classes));
  const { outputs } = await runStep(program, pipeline, { images, labels }, step);
  for (const { data } of Object.values(outputs)) hash.update(data);
  digests.push(hash.copy().digest('hex'));
}
for (const { data } of Object.values(await program.readState())) hash.update(data);
digests.push(hash.digest('hex'));
const named = `${engine.name} (${engine.version}, ${engine.device}, ${engine.threads} threads)`;
process.stdout.write(`${JSON.stringify({ engine: named, digests } satisfies BitsFigures)}\n`);
