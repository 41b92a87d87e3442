import { definePipeline } from 'repulsor';

/**
 * The digits: 9,000 handwritten images, and 1,000 more that are held out to measure it by; a SiT of 330 thousand parameters, and
 * a model that draws them after some three minutes on two cores. The same file trains from a broker: `repulsor train pipelines/digits.ts --log kafka://...`.
 */
export default definePipeline({
  name: 'digits',
  log: 'file:runs/log',
  source: { topic: 'digits', follow: false, ingest: 'digits' },
  operators: { shuffle: 10_000, batch: 32 },
  model: { input: [28, 28, 1], patch: 4, width: 64, depth: 4, heads: 2, classes: 10, timeScale: 10 },
  losses: { repulsion: { lambda: 0.05, queue: 1_024, ramp: 500, keyMomentum: 0.99 } },
  optimizer: { learningRate: 4e-3, beta2: 0.99, warmup: 100, decayShare: 0.5, clip: 1, ema: 0.995 },
  steps: 4_500,
  commit: { everySteps: 100 },
  evaluation: { everySteps: 500, topic: 'digits-held-out' },
});
