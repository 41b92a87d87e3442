import type { ViewSettings } from '../../src/losses/second-view.ts';
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
  const blocks = settings === null ? [] : [settings.block].flat();
  const headOf = (block: number) => (blocks.length === 1 ? 'head' : `head.block${block}`);
  const counting = state.queue.filter((row) => settings?.maxAge == null || step - row.step <= settings.maxAge);
  /** The part of a row that is of one block. */
  const partOf = (row: readonly number[], i: number) =>
    row.slice((i * row.length) / blocks.length, ((i + 1) * row.length) / blocks.length);

  /** Projections by block, of parameters and a network's input. */
  const projected = (flat: Float64Array, x: readonly number[], times: readonly number[]) => {
    const parameters = named(flat, layout);
    return blocks.map((block) =>
      plainProject(
        plainSit(parameters, model, x, times, labels, block).features,
        parameters,
        settings!.projection,
        headOf(block),
      ),
    );
  };

  const positives = settings?.form.kind === 'info-nce';
  const slow = settings !== null && settings.keyMomentum !== null && (settings.queue > 0 || positives);
  /** The keys by block that are made before the loss; null where they are the projections themselves. */
  const ahead = (): number[][][] | null => {
    if (settings === null || !(slow || positives)) return null;
    const by = Float64Array.from(slow ? state.slow : state.params);
    if (!positives) return projected(by, xt, t);
    const times =
      settings.view.time === 'same'
        ? t
        : [...uniforms(seed, 'view-time', step, b)].map((u) => from! + (to! - from!) * u);
    const other = normals(seed, 'view-noise', step, batch.images.length);
    const view = plainView(batch.images, model.input, settings.view, seed, step);
    const x = view.map((x1, i) => {
      const time = times[Math.floor(i / pixels)]!;
      return alpha(time) * x1 + sigma(time) * other[i]!;
    });
    return projected(by, x, times);
  };
  const made = ahead();

  const run = (flat: Float64Array) => {
    const parameters = named(flat, layout);
    const { velocity } = plainSit(parameters, model, xt, t, labels, 0);
    const flow = velocity.reduce((sum, v, i) => sum + error(v, i), 0) / velocity.length;
    if (settings === null) return { total: flow, flow, ofBlock: [], repulsion: 0, zs: [] };
    const zs = projected(flat, xt, t);
    const ofBlock = zs.map((z, i) => {
      const rows = counting.map(({ key, label }) => ({ row: partOf(key, i), weight: batch.queueWeight, label }));
      const sides = { labels: batch.labels, unknown: nullClass(model), ...(made && { positives: made[i]! }) };
      return plainRepulsion(z, rows, settings.form, sides);
    });
    const repulsion = ofBlock.reduce((a, c) => a + c, 0) / ofBlock.length;
    return { total: flow + settings.lambda * repulsion, flow, ofBlock, repulsion, zs };
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
  const { total, flow, repulsion, ofBlock, zs } = run(params);
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
  report['repulsion'] = repulsion;
  const keys = made ?? zs;
  const centre = (of: readonly (readonly number[])[]) => (of[0] ?? []).map((_, i) => mean(of.map((row) => row[i]!)));
  for (const [i, block] of blocks.entries()) {
    const z = zs[i]!;
    const suffix = blocks.length > 1 ? `.${block}` : '';
    report[`repulsion${suffix}`] = suffix === '' ? repulsion : ofBlock[i]!;
    const old = counting.map(({ key }) => partOf(key, i));
    const lengthOf = (rows: readonly (readonly number[])[], from: readonly number[]) =>
      mean(rows.map((row) => distance(row, from)));
    const half = centre(old.length === 0 ? [centre(z)] : [centre(z), centre(old)]);
    let scale = 1;
    if (!settings.projection.normalize) {
      if (settings.queue === 0)
        scale = lengthOf(
          z,
          z[0]!.map(() => 0),
        );
      else if (old.length === 0) scale = lengthOf(z, half);
      else scale = (lengthOf(z, half) + lengthOf(old, half)) / 2;
    }
    const pairs = z.flatMap((a, n) => z.filter((_, j) => j !== n).map((c) => distance(a, c) / scale));
    report[`pairDistance${suffix}`] = mean(pairs);
    report[`uniformity${suffix}`] = Math.log(mean(pairs.map((d) => Math.exp(-2 * d))));
    const toKeys = mean(z.map((a, n) => distance(a, keys[i]![n]!) / scale));
    if (positives) report[`positiveDistance${suffix}`] = toKeys;
    else if (settings.queue > 0) report[`drift${suffix}`] = toKeys;
    if (settings.queue === 0) continue;
    report[`shift${suffix}`] = old.length === 0 ? 0 : distance(centre(z), centre(old)) / scale;
    const dot = (a: readonly number[], c: readonly number[]) => a.reduce((sum, v, n) => sum + v * c[n]!, 0);
    const similarity = mean(z.flatMap((a) => old.map((c) => dot(a, c))));
    const means = [centre(z), centre(old)] as const;
    const lengths = means.map((of) => Math.hypot(...of));
    const nothing = Math.min(...lengths) < 1e-2 * Math.sqrt(scale);
    report[`similarity${suffix}`] =
      settings.projection.normalize || old.length === 0
        ? similarity
        : nothing
          ? 0
          : dot(...means) / lengths[0]! / lengths[1]!;
  }
  if (slow) next.slow = plainEma(state.slow, moved.parameters, settings.keyMomentum!);
  if (settings.queue === 0) return { state: next, report, keys: [] };

  const rows = batch.labels.map((_, n) => keys.flatMap((ofOne) => ofOne[n]!));
  next.queue = [...state.queue, ...rows.map((key, n) => ({ key, label: batch.labels[n]!, step }))].slice(
    -settings.queue,
  );
  const ages = next.queue.map((row) => step - row.step);
  report['ageMean'] = mean(ages);
  report['ageMax'] = Math.max(...ages);
  return { state: next, report, keys: rows };
}

/** The images of the second views, pixel by pixel. */
function plainView(
  images: ArrayLike<number>,
  [height, width, channels]: readonly [number, number, number],
  { flip, shift }: ViewSettings,
  seed: number,
  step: number,
): number[] {
  const b = images.length / (height * width * channels);
  const mirrored = flip ? uniforms(seed, 'view-flip', step, b) : new Float32Array(b).fill(1);
  const drawn = shift > 0 ? uniforms(seed, 'view-shift', step, 2 * b) : new Float32Array(2 * b);
  const move = (i: number) => (shift === 0 ? 0 : Math.floor(drawn[i]! * (2 * shift + 1)) - shift);
  const within = (i: number, size: number) => Math.min(size - 1, Math.max(0, i));
  const out: number[] = [];
  for (let n = 0; n < b; n++) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const [fromRow, shifted] = [within(row + move(2 * n), height), within(column + move(2 * n + 1), width)];
        const fromColumn = mirrored[n]! < 0.5 ? width - 1 - shifted : shifted;
        for (let c = 0; c < channels; c++)
          out.push(images[((n * height + fromRow) * width + fromColumn) * channels + c]!);
      }
    }
  }
  return out;
}
