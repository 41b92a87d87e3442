import { definePipeline, type Pipeline } from '../../src/trainer/pipeline.ts';
import { trainLayout } from '../../src/trainer/train-state.ts';

/** Vectors of the model's size in the committed state: params, ema, adam.m, adam.v, slow. */
const VECTORS = 5;

/** The topic that the benchmark trains from: the built-in digits. */
export const TOPIC = 'bench-digits';

/**
 * A SiT whose committed state takes the wanted bytes, as nearly as its width can be chosen. Patches are large and batches
 * small, so that a step costs little against its state: the commit has the least time to hide in.
 */
export function pipelineOfState(bytes: number, commit: { readonly everySteps: number }, steps: number): Pipeline {
  const make = (width: number): Pipeline =>
    definePipeline({
      name: 'bench',
      log: 'file:log',
      source: { topic: TOPIC, follow: false },
      operators: { batch: 8, shuffle: 1_000 },
      model: { input: [28, 28, 1], patch: 14, width, depth: 4, heads: 2, classes: 10, timeScale: 10 },
      losses: { repulsion: { lambda: 0.05, queue: 65_536, projection: { dim: 128 } } },
      steps,
      // By steps alone, so that every run of the benchmark makes the same commits.
      commit: { ...commit, everySeconds: 86_400, keep: { last: 2 } },
      metrics: { port: 0 },
    });
  let width = 8;
  while (stateBytes(make(width + 4)) <= bytes) width += 4;
  return make(width);
}

/** Bytes of the tensors that each commit stores as blobs. */
export function stateBytes(pipeline: Pipeline): number {
  return trainLayout(pipeline).size * 4 * VECTORS;
}
