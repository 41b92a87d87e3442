import type { ParameterLayout } from '../../src/model/parameters.ts';
import { nullClass } from '../../src/model/sit.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { distance, plainProject, plainRepulsion } from '../losses/plain-repulsion.ts';
import { named, plainSit } from '../model/plain-sit.ts';
import { plainAdamW, plainClip, plainEma } from '../optim/plain-optim.ts';

/**
 * A whole training step once more, in float64 on plain arrays, its gradient by central differences over every single
 * parameter, and its queue a plain list: what src/trainer/train-step.ts is tested against.
 */
export interface PlainState {
  params: number[];
  m: number[];
  v: number[];
  ema: number[];
  slow: number[];
  /** Oldest first. */
  queue: { key: number[]; label: number; step: number }[];
}

export interface PlainBatch {
  readonly images: ArrayLike<number>;
  readonly labels: readonly number[];
  readonly rate: number;
  readonly queueWeight: number;
}

/** Data and noise along each path, and the times drawn for a velocity and for all else (Ma et al. 2024, the official code). */
const PLAIN_PATHS = {
  linear: { alpha: (t: number) => t, sigma: (t: number) => 1 - t },
  gvp: { alpha: (t: number) => Math.sin((Math.PI * t) / 2), sigma: (t: number) => Math.cos((Math.PI * t) / 2) },
  vp: {
    alpha: (t: number) => Math.exp(-0.25 * 19.9 * (1 - t) ** 2 - 0.05 * (1 - t)),
    sigma: (t: number) => Math.sqrt(1 - Math.exp(-0.5 * 19.9 * (1 - t) ** 2 - 0.1 * (1 - t))),
  },
};
const SPANS = {
  linear: [
    [0, 1],
    [1e-3, 1 - 1e-3],
  ],
  gvp: [
    [0, 1],
    [1e-3, 1 - 1e-3],
  ],
  vp: [
    [0, 1 - 1e-5],
    [0, 1 - 1e-5],
  ],
};

export function plainTrainStep(
  pipeline: Pipeline,
  layout: ParameterLayout,
  state: PlainState,
  batch: PlainBatch,
  seed: number,
  step: number,
): { state: PlainState; report: Record<string, number>; keys: number[][] } {
  const { model, losses, optimizer } = pipeline;
  const b = batch.labels.length;
  const { path, prediction, weighting } = pipeline.transport;
  const [from, to] = SPANS[path][prediction === 'velocity' ? 0 : 1]!;
  const t = [...uniforms(seed, 'time', step, b)].map((u) => from! + (to! - from!) * u);
  const noise = normals(seed, 'noise', step, batch.images.length);
  const dropped = uniforms(seed, 'label-dropout', step, b);
  const labels = batch.labels.map((label, i) => (dropped[i]! < losses.labelDropout ? nullClass(model) : label));
  const pixels = batch.images.length / b;
  const at = (i: number) => t[Math.floor(i / pixels)]!;
  const { alpha, sigma } = PLAIN_PATHS[path];
  const xt = Array.from(batch.images, (x1, i) => alpha(at(i)) * x1 + sigma(at(i)) * noise[i]!);
  const target = Array.from(batch.images, (x1, i) => {
    const along = (time: number) => alpha(time) * x1 + sigma(time) * noise[i]!;
    return (along(at(i) + 1e-6) - along(at(i) - 1e-6)) / 2e-6;
  });
  const error = (v: number, i: number) => {
    const s = sigma(at(i));
    const slope = (f: (time: number) => number) => (f(at(i) + 1e-6) - f(at(i) - 1e-6)) / 2e-6;
    // lambda = sigma^2 d/dt log(alpha / sigma)
    const lambda = s * s * slope((time) => Math.log(alpha(time) / sigma(time)));
    const weight = { none: 1, velocity: (lambda / s) ** 2, likelihood: lambda / s ** 2 }[weighting];
    if (prediction === 'velocity') return (v - target[i]!) ** 2;
    return weight * (prediction === 'noise' ? v - noise[i]! : s * v + noise[i]!) ** 2;
  };
  const settings = losses.repulsion;
  const rows = state.queue.map(({ key }) => ({ row: key, weight: batch.queueWeight }));

  const run = (flat: Float64Array) => {
    const parameters = named(flat, layout);
    const { velocity, features } = plainSit(parameters, model, xt, t, labels, settings?.block ?? 0);
    const flow = velocity.reduce((sum, v, i) => sum + error(v, i), 0) / velocity.length;
    if (settings === null) return { total: flow, flow, repulsion: 0, z: [] };
    const z = plainProject(features, parameters, settings.projection);
    const repulsion = plainRepulsion(z, rows, settings.form);
    return { total: flow + settings.lambda * repulsion, flow, repulsion, z };
  };

  const params = Float64Array.from(state.params);
  const h = 1e-5;
  const gradient = state.params.map((p, i) => {
    params[i] = p + h;
    const above = run(params).total;
    params[i] = p - h;
    const below = run(params).total;
    params[i] = p;
    return (above - below) / (2 * h);
  });
  const { total, flow, repulsion, z } = run(params);
  const moved = plainAdamW(
    { parameters: state.params, m: state.m, v: state.v },
    plainClip(gradient, optimizer.clip),
    batch.rate,
    step,
    optimizer,
  );
  const report: Record<string, number> = {
    total,
    flow,
    gradientNorm: Math.hypot(...gradient),
    parameterNorm: Math.hypot(...moved.parameters),
  };
  const next: PlainState = {
    params: moved.parameters,
    m: moved.m,
    v: moved.v,
    ema: plainEma(state.ema, moved.parameters, optimizer.ema),
    slow: state.slow,
    queue: state.queue,
  };
  if (settings === null) return { state: next, report, keys: [] };

  const mean = (values: number[]) => values.reduce((a, c) => a + c, 0) / Math.max(1, values.length);
  const pairs = z.flatMap((a, i) => z.filter((_, j) => j !== i).map((c) => distance(a, c)));
  report['repulsion'] = repulsion;
  report['pairDistance'] = mean(pairs);
  report['uniformity'] = Math.log(mean(pairs.map((d) => Math.exp(-2 * d))));
  if (settings.queue === 0) return { state: next, report, keys: [] };

  const momentum = settings.keyMomentum;
  let keys = z;
  if (momentum !== null) {
    const parameters = named(Float64Array.from(state.slow), layout);
    keys = plainProject(
      plainSit(parameters, model, xt, t, labels, settings.block).features,
      parameters,
      settings.projection,
    );
    next.slow = plainEma(state.slow, moved.parameters, momentum);
  }
  const old = state.queue.map(({ key }) => key);
  const centre = (of: number[][]) => (of[0] ?? []).map((_, i) => mean(of.map((row) => row[i]!)));
  report['drift'] = mean(z.map((a, i) => distance(a, keys[i]!)));
  report['shift'] = old.length === 0 ? 0 : distance(centre(z), centre(old));
  report['similarity'] = mean(z.flatMap((a) => old.map((c) => a.reduce((sum, v, i) => sum + v * c[i]!, 0))));
  next.queue = [...state.queue, ...keys.map((key, i) => ({ key, label: batch.labels[i]!, step }))].slice(
    -settings.queue,
  );
  const ages = next.queue.map((row) => step - row.step);
  report['ageMean'] = mean(ages);
  report['ageMax'] = Math.max(...ages);
  return { state: next, report, keys };
}
