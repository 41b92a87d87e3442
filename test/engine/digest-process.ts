import { createHash } from 'node:crypto';
import { shapePipeline } from '../../bench/train-step/shapes.ts';
import type { HostTensors, Program } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { initialState } from '../../src/trainer/train-state.ts';
import { bytesOf } from './engines.ts';
import { transformerInputs, transformerProgram } from './transformer-program.ts';

/**
 * Trains the digits' own step for eight steps, with the settings given as `PATH=VALUE`, and one step of a transformer that
 * is large enough for TensorFlow's memory optimizer to have made a difference (src/engine/native/config.ts). Prints a digest
 * of all that came out of each and of its state, for a test to compare.
 */
const engine = await openNativeEngine();
const pipeline = await shapePipeline('c', process.argv.slice(2));

async function digest(program: Program, run: (step: number) => Promise<HostTensors>, steps: number): Promise<string> {
  const hash = createHash('sha256');
  for (let step = 1; step <= steps; step++) hash.update(bytesOf(await run(step)));
  return hash.update(bytesOf(await program.readState())).digest('hex');
}

const { batch } = pipeline.operators;
const pixels = batch * pipeline.model.input.reduce((product, size) => product * size, 1);
const train = await compileStep(engine, pipeline, initialState(pipeline));
const first = await digest(
  train,
  async (step) => {
    const images = normals(0, 'images', step, pixels);
    const labels = Int32Array.from(uniforms(0, 'labels', step, batch), (u) => Math.floor(u * pipeline.model.classes));
    return (await runStep(train, pipeline, { images, labels }, step)).outputs;
  },
  8,
);

const size = { batch: 64, tokens: 64, width: 192, depth: 2, heads: 6 };
const transformer = await engine.compile(transformerProgram(size, 4096));
const second = await digest(transformer, (step) => transformer.run(transformerInputs(size, step), step), 1);
console.log(first, second);
