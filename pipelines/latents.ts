import { definePipeline } from 'repulsor';

/**
 * Latents: the digits through a small autoencoder, 7 x 7 x 4 in place of 28 x 28 x 1.
 *
 *   npm run digit-vae -- --to runs/vae
 *   repulsor ingest digits --to file:runs/log --topic latents --encode runs/vae
 *   repulsor train pipelines/latents.ts
 *   repulsor sample runs/latents --decode runs/vae --out latents.png
 *
 * With an autoencoder of your own, `latentScale` is its scale (0.18215 for those of Stable Diffusion, the default), and
 * `model.input` what `repulsor ingest` says of its latents.
 */
export default definePipeline({
  name: 'latents',
  log: 'file:runs/log',
  source: { topic: 'latents', follow: false },
  operators: { shuffle: 10_000, batch: 32, latentScale: 1.3 },
  model: { input: [7, 7, 4], patch: 1, width: 64, depth: 4, heads: 2, classes: 10, timeScale: 10 },
  losses: { repulsion: { lambda: 0.05, queue: 1_024, ramp: 500, keyMomentum: 0.99 } },
  optimizer: { learningRate: 4e-3, beta2: 0.99, warmup: 100, decayShare: 0.5, clip: 1, ema: 0.995 },
  steps: 4_500,
  commit: { everySteps: 100 },
});
