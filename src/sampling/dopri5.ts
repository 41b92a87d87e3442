import { RepulsorError } from '../errors.ts';
import type { Tolerances } from '../trainer/sampling-settings.ts';
import type { Interval } from '../transport/transport.ts';
import type { Field } from './field.ts';

/** Dormand and Prince 1980: seven stages, the last of which is the first of the next step. */
const C = [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1];
const A = [
  [],
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
/** Fifth order less fourth. */
const E = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

/** Hairer, Norsett and Wanner 1993, section II.4: a step of 0.9 the optimum, no more than 10 times nor less than a fifth the last. */
const SAFETY = 0.9;
const MOST = 10;
const LEAST = 0.2;
const ORDER = 5;
/** Attempts at one image's steps before it is given up: a smooth field takes some tens. */
const MOST_ATTEMPTS = 10_000;

/**
 * Adaptive, fifth order. Every sample has its own time and its own steps, so that none depends on its batch; those that
 * have arrived are evaluated on and left as they are. The error is kept below atol + rtol |x| in root mean square.
 * @throws RepulsorError DIVERGED when no step is small enough
 */
export async function dopri5(
  field: Field,
  noise: Float32Array,
  { from, to, samples, atol, rtol }: Interval & Tolerances & { readonly samples: number },
): Promise<Float32Array> {
  const size = noise.length / samples;
  let x = Float64Array.from(noise);
  const t = new Float64Array(samples).fill(from);
  let first = await field(noise, t);
  const h = await firstSteps();
  for (let attempt = 0; t.some((at) => at < to); attempt++) {
    if (attempt === MOST_ATTEMPTS || h.some((step, i) => t[i] < to && !(t[i] + step > t[i]))) throw stuck(t);
    for (let i = 0; i < samples; i++) h[i] = Math.min(h[i], to - t[i]);
    const stages = [first];
    let next = x;
    for (let stage = 1; stage < C.length; stage++) {
      next = x.map((value, k) => {
        let sum = 0;
        for (let j = 0; j < stage; j++) sum += A[stage][j] * stages[j][k];
        return value + h[Math.floor(k / size)] * sum;
      });
      stages.push(
        await field(
          Float32Array.from(next),
          t.map((at, i) => at + C[stage] * h[i]),
        ),
      );
    }
    const last = stages[6];
    const kept = new Float64Array(x);
    const slopes = first.slice();
    for (let i = 0; i < samples; i++) {
      if (t[i] >= to) continue;
      const error = rms(
        i,
        (k) => (h[i] * stages.reduce((sum, stage, j) => sum + E[j] * stage[k], 0)) / scale(x, next, k),
      );
      if (error <= 1) {
        // Not t + h, which may miss the end by a bit.
        t[i] = h[i] === to - t[i] ? to : t[i] + h[i];
        kept.set(next.subarray(i * size, (i + 1) * size), i * size);
        slopes.set(last.subarray(i * size, (i + 1) * size), i * size);
      }
      const factor = error === 0 ? MOST : Math.min(MOST, Math.max(LEAST, SAFETY * error ** (-1 / ORDER)));
      h[i] *= error <= 1 ? Math.max(1, factor) : Number.isNaN(error) ? LEAST : Math.min(1, factor);
    }
    x = kept;
    first = slopes;
  }
  return Float32Array.from(x);

  function scale(a: Float64Array, b: Float64Array, k: number): number {
    return atol + rtol * Math.max(Math.abs(a[k]), Math.abs(b[k]));
  }

  function rms(i: number, of: (k: number) => number): number {
    let sum = 0;
    for (let k = i * size; k < (i + 1) * size; k++) sum += of(k) ** 2;
    return Math.sqrt(sum / size);
  }

  /** Hairer, Norsett and Wanner's choice: how far x moves at a hundredth of its own size, and how its slope changes there. */
  async function firstSteps(): Promise<Float64Array> {
    const each = (of: (i: number) => number) => Float64Array.from({ length: samples }, (_, i) => of(i));
    const slope = each((i) => rms(i, (k) => first[k] / scale(x, x, k)));
    const trial = each((i) => {
      const far = rms(i, (k) => x[k] / scale(x, x, k));
      return far < 1e-5 || slope[i] < 1e-5 ? 1e-6 : Math.min(to - from, (0.01 * far) / slope[i]);
    });
    const moved = x.map((value, k) => value + trial[Math.floor(k / size)] * first[k]);
    const second = await field(
      Float32Array.from(moved),
      t.map((at, i) => at + trial[i]),
    );
    return each((i) => {
      const bend = rms(i, (k) => (second[k] - first[k]) / scale(x, x, k)) / trial[i];
      const most = Math.max(slope[i], bend);
      const step = most <= 1e-15 ? Math.max(1e-6, trial[i] * 1e-3) : (0.01 / most) ** (1 / ORDER);
      return Math.min(to - from, 100 * trial[i], step);
    });
  }
}

function stuck(t: Float64Array): RepulsorError {
  return new RepulsorError('DIVERGED', `dopri5 finds no step small enough at t = ${Math.min(...t)}`, {
    hint: 'widen sampling.rtol and sampling.atol, or use heun; weights that are not finite give this too',
  });
}
