import { definePipeline } from 'repulsor';

/**
 * Continual learning: follows a Kafka topic for as long as images arrive, commits every minute, and goes on where it
 * was after any restart. What it no longer sees it forgets: `operators: { mix: { share: 0.25 } }` reads a quarter of each batch
 * again from what came before (docs/continual.md). The features measured are of the topic's first images; better are some that it is
 * not trained on: `evaluation: { topic: ... }`. Set `model.input` and `model.classes` to your images, or start from the digits:
 *
 *   repulsor ingest digits --to kafka://localhost:9092 --topic digits
 *   repulsor train pipelines/continual.ts --topic digits
 */
export default definePipeline({
  name: 'continual',
  log: 'kafka://localhost:9092',
  source: { topic: 'images', follow: true, from: 'earliest' },
  operators: { shuffle: 1_000, batch: 32 },
  model: { input: [28, 28, 1], patch: 4, width: 64, depth: 4, heads: 2, classes: 10, timeScale: 10 },
  losses: { repulsion: { lambda: 0.05, queue: 1_024, ramp: 500, keyMomentum: 0.99 } },
  optimizer: { learningRate: 1e-3, beta2: 0.99, warmup: 100, clip: 1, ema: 0.999 },
  commit: { everySteps: 1_000, everySeconds: 60 },
  evaluation: { everySteps: 1_000 },
});
