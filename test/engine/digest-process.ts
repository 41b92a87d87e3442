import { createHash } from 'node:crypto';
import { shapePipeline } from '../../bench/train-step/shapes.ts';
import type { HostTensors, Program } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import type { Precision } from '../../src/engine/product.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { compileStep, runStep } from '../../src/trainer/run-step.ts';
import { initialState } from '../../src/trainer/train-state.ts';
import { trainingLanes } from '../../src/trainer/training-lanes.ts';
import { bytesOf } from './engines.ts';
import { transformerInputs, transformerProgram } from './transformer-program.ts';

/**
 * Trains the digits' own step for eight steps, in a trainer's lanes and in each precision that is asked for, and one step of a
 * transformer that is large enough for TensorFlow's memory optimizer to have made a difference (src/engine/native/config.ts).
 * Prints a digest of all that came out of each and of its state, as JSON, for a test to compare.
 */
const engine = await openNativeEngine('cpu', undefined, trainingLanes({ precision: 'fp32' }));

async function digest(program: Program, run: (step: number) => Promise<HostTensors>, steps: number): Promise<string> {
  const hash = createHash('sha256');
  for (let step = 1; step <= steps; step++) hash.update(bytesOf(await run(step)));
  return hash.update(bytesOf(await program.readState())).digest('hex');
}

async function trained(precision: Precision): Promise<string> {
  const pipeline = await shapePipeline('c', [`precision=${precision}`]);
  const { batch } = pipeline.operators;
  const pixels = batch * pipeline.model.input.reduce((product, size) => product * size, 1);
  const program = await compileStep(engine, pipeline, initialState(pipeline));
  const run = async (step: number) => {
    const images = normals(0, 'images', step, pixels);
    const labels = Int32Array.from(uniforms(0, 'labels', step, batch), (u) => Math.floor(u * pipeline.model.classes));
    return (await runStep(program, pipeline, { images, labels }, step)).outputs;
  };
  return digest(program, run, 8);
}

const size = { batch: 64, tokens: 64, width: 192, depth: 2, heads: 6 };
const transformer = await engine.compile(transformerProgram(size, 4096));
const large = await digest(transformer, (step) => transformer.run(transformerInputs(size, step), step), 1);
const digests: Record<string, string> = { large };
for (const precision of process.argv.slice(2) as Precision[]) digests[precision] = await trained(precision);
console.log(JSON.stringify(digests));
