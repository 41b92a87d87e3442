import { type Goal, goal } from '../benchmark.ts';
import type { ShapeFigures } from './measure-shape.ts';

const FP32_OVER_EAGER = { a: 1.15, b: 1.15, c: 1 } as const;
const BF16_OVER_AUTOCAST = 1.3;
const BEST_OVER_BEST = 1.1;
const PEAK_SHARE = 0.6;
const RSS_OVER_PEER = 1;
const REPULSION_OVER_PLAIN = 1.02;
const COMPILE_SECONDS = 15;

/**
 * What a shape is held to; without peers, what can be said without them. A side that is not there meets no goal. On a GPU the
 * comparisons of speed alone: what a process of CUDA holds on the host says little of the step, small models do not fill a
 * GPU, and the other goals are of the CPU.
 */
export function goalsOf(figures: ShapeFigures): Record<string, Goal> {
  const { shape, device, sides, missing, ratios, repulsion_cost, agreement } = figures;
  const ours = sides['ours fp32'];
  const ratio = (name: string): number => ratios[name]?.median ?? Number.NaN;
  const rss = (our: string, their: string): number =>
    (sides[our]?.peak_bytes ?? Number.NaN) / (sides[their]?.peak_bytes ?? Number.NaN);
  const cost = (keys: string): number => repulsion_cost?.[keys]?.median ?? Number.NaN;
  const speed = {
    [`fp32_over_torch_eager_${shape}`]: goal(ratio('ours fp32 / torch eager fp32'), '>=', FP32_OVER_EAGER[shape]),
    [`bf16_over_torch_autocast_${shape}`]: goal(ratio('ours bf16 / torch eager bf16'), '>=', BF16_OVER_AUTOCAST),
    // The best of those that are left would be another comparison.
    [`best_over_torch_best_${shape}`]: goal(
      Object.keys(missing).length > 0 ? Number.NaN : ratio('best of ours / best of torch'),
      '>=',
      BEST_OVER_BEST,
    ),
  };
  const compared = agreement === null ? {} : speed;
  if (device === 'gpu') return compared;
  const memory = { [`peak_rss_over_torch_${shape}`]: goal(rss('ours fp32', 'torch eager fp32'), '<=', RSS_OVER_PEER) };
  return {
    ...compared,
    ...(agreement === null ? {} : memory),
    [`peak_share_${shape}`]: goal(ours?.peak_share.median ?? Number.NaN, '>=', PEAK_SHARE),
    ...(repulsion_cost === null
      ? {}
      : {
          repulsion_65536_over_plain_b: goal(cost('momentum keys'), '<=', REPULSION_OVER_PLAIN),
          repulsion_65536_current_keys_over_plain_b: goal(cost('current keys'), '<=', REPULSION_OVER_PLAIN),
        }),
    ...(shape === 'a' ? { compile_seconds_a: goal(ours?.compile_seconds ?? Number.NaN, '<=', COMPILE_SECONDS) } : {}),
  };
}
