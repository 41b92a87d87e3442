import { definePipeline } from 'repulsor';

/** The emoji, in colour: the model and the schedule of pipelines/digits.ts, for images of 32 x 32 in nine categories. */
export default definePipeline({
  name: 'emoji',
  log: 'file:runs/log',
  source: { topic: 'emoji', follow: false },
  operators: { shuffle: 4_096, batch: 32 },
  model: { input: [32, 32, 3], patch: 4, width: 64, depth: 4, heads: 2, classes: 9, timeScale: 10 },
  losses: { repulsion: { lambda: 0.05, queue: 4_096, ramp: 500, keyMomentum: 0.99 } },
  optimizer: { learningRate: 4e-3, beta2: 0.99, warmup: 100, decayShare: 0.5, clip: 1, ema: 0.995 },
  steps: 1_500,
  evaluation: { topic: 'emoji-held-out' },
});
