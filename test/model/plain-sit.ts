import type { ParameterLayout } from '../../src/model/parameters.ts';
import type { SiTSettings } from '../../src/model/sit.ts';

/**
 * SiT's forward pass once more, in loops over plain float64 numbers and written from the papers' formulas (Peebles and
 * Xie 2023, Ma et al. 2024), not from src/model: what the tensors are tested against. Finite differences of it give the
 * gradients that autodiff is tested against.
 */
export interface PlainParameter {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}
export type PlainParameters = Record<string, PlainParameter>;

/** The parts of a flat float64 vector by name. */
export function named(flat: Float64Array, layout: ParameterLayout): PlainParameters {
  let at = 0;
  const parts: PlainParameters = {};
  for (const { name, shape } of layout.specs) {
    const size = shape.reduce((a, b) => a * b, 1);
    parts[name] = { shape, data: flat.subarray(at, at + size) };
    at += size;
  }
  return parts;
}

/** y[o] = sum_i W[o][i] x[i] + b[o]. */
export function plainLinear(x: readonly number[], parameters: PlainParameters, name: string): number[] {
  const { shape, data: w } = parameters[`${name}.weight`]!;
  const bias = parameters[`${name}.bias`]!.data;
  const [out, inputs] = shape as [number, number];
  if (inputs !== x.length) throw new Error(`${name} takes ${inputs} numbers, not ${x.length}`);
  const y = new Array<number>(out);
  for (let o = 0; o < out; o++) {
    let sum = bias[o]!;
    for (let i = 0; i < inputs; i++) sum += w[o * inputs + i]! * x[i]!;
    y[o] = sum;
  }
  return y;
}

export const plainSilu = (x: number): number => x / (1 + Math.exp(-x));
export const plainGelu = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

export function plainLayerNorm(x: readonly number[]): number[] {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  return x.map((v) => (v - mean) / Math.sqrt(variance + 1e-6));
}

const modulated = (x: readonly number[], shift: readonly number[], scale: readonly number[]): number[] =>
  x.map((v, i) => v * (1 + scale[i]!) + shift[i]!);

/** Self-attention of the tokens of one sample, head by head. */
function plainAttention(x: number[][], parameters: PlainParameters, name: string, heads: number): number[][] {
  const width = x[0]!.length;
  const size = width / heads;
  const qkv = x.map((token) => plainLinear(token, parameters, `${name}.qkv`));
  const part = (token: number, which: number, head: number): number[] =>
    qkv[token]!.slice(which * width + head * size, which * width + (head + 1) * size);
  const mixed = x.map((_, query) => {
    const joined: number[] = [];
    for (let head = 0; head < heads; head++) {
      const q = part(query, 0, head);
      const logits = x.map((_, key) => part(key, 1, head).reduce((s, k, i) => s + k * q[i]!, 0) / Math.sqrt(size));
      const top = Math.max(...logits);
      const weights = logits.map((l) => Math.exp(l - top));
      const total = weights.reduce((a, b) => a + b, 0);
      for (let i = 0; i < size; i++) {
        joined.push(weights.reduce((s, w, key) => s + (w / total) * part(key, 2, head)[i]!, 0));
      }
    }
    return joined;
  });
  return mixed.map((token) => plainLinear(token, parameters, `${name}.proj`));
}

function plainBlock(x: number[][], c: number[], parameters: PlainParameters, name: string, heads: number): number[][] {
  const width = x[0]!.length;
  const all = plainLinear(c, parameters, `${name}.adaLN_modulation.1`);
  const chunk = (i: number) => all.slice(i * width, (i + 1) * width);
  const attended = plainAttention(
    x.map((token) => modulated(plainLayerNorm(token), chunk(0), chunk(1))),
    parameters,
    `${name}.attn`,
    heads,
  );
  return x.map((token, n) => {
    const y = token.map((v, i) => v + chunk(2)[i]! * attended[n]![i]!);
    const hidden = plainLinear(modulated(plainLayerNorm(y), chunk(3), chunk(4)), parameters, `${name}.mlp.fc1`);
    const mlp = plainLinear(hidden.map(plainGelu), parameters, `${name}.mlp.fc2`);
    return y.map((v, i) => v + chunk(5)[i]! * mlp[i]!);
  });
}

/** 1-D sine-cosine code of a position: `size` / 2 sines, then as many cosines. */
function code(position: number, size: number): number[] {
  const angles = Array.from({ length: size / 2 }, (_, i) => position / 10_000 ** (i / (size / 2)));
  return [...angles.map(Math.sin), ...angles.map(Math.cos)];
}

const FREQUENCIES = Array.from({ length: 128 }, (_, i) => 10_000 ** (-i / 128));

/** x: (B, H, W, C) flat; t, labels: (B). The velocity, flat like x, and the tokens (B, N, D) after block `tap`. */
export function plainSit(
  parameters: PlainParameters,
  settings: SiTSettings,
  x: ArrayLike<number>,
  t: readonly number[],
  labels: readonly number[],
  tap: number,
): { velocity: Float64Array; features: number[][][] } {
  const [height, width, channels] = settings.input;
  const { patch: p, width: d } = settings;
  const out = channels * (settings.learnSigma ? 2 : 1);
  const velocity = new Float64Array(t.length * height * width * channels);
  const pixel = (sample: number, row: number, column: number, channel: number) =>
    ((sample * height + row) * width + column) * channels + channel;

  const features = t.map((time, sample) => {
    const angles = FREQUENCIES.map((frequency) => time * settings.timeScale * frequency);
    const sinusoid = [...angles.map(Math.cos), ...angles.map(Math.sin)];
    const hidden = plainLinear(sinusoid, parameters, 't_embedder.mlp.0').map(plainSilu);
    const table = parameters['y_embedder.embedding_table.weight']!.data;
    const c = plainLinear(hidden, parameters, 't_embedder.mlp.2').map((v, i) =>
      plainSilu(v + table[labels[sample]! * d + i]!),
    );

    let tokens: number[][] = [];
    for (let row = 0; row < height / p; row++) {
      for (let column = 0; column < width / p; column++) {
        // A strided convolution's weight is (D, C, p, p): channel, then row, then column.
        const pixels: number[] = [];
        for (let channel = 0; channel < channels; channel++)
          for (let i = 0; i < p; i++)
            for (let j = 0; j < p; j++) pixels.push(x[pixel(sample, row * p + i, column * p + j, channel)]!);
        const position = [...code(column, d / 2), ...code(row, d / 2)];
        tokens.push(plainLinear(pixels, parameters, 'x_embedder.proj').map((v, i) => v + position[i]!));
      }
    }

    let tapped = tokens;
    for (let i = 0; i < settings.depth; i++) {
      tokens = plainBlock(tokens, c, parameters, `blocks.${i}`, settings.heads);
      if (i + 1 === tap) tapped = tokens;
    }

    const modulation = plainLinear(c, parameters, 'final_layer.adaLN_modulation.1');
    tokens.forEach((token, n) => {
      const last = modulated(plainLayerNorm(token), modulation.slice(0, d), modulation.slice(d));
      const values = plainLinear(last, parameters, 'final_layer.linear');
      const [row, column] = [Math.floor(n / (width / p)), n % (width / p)];
      for (let i = 0; i < p; i++)
        for (let j = 0; j < p; j++)
          for (let channel = 0; channel < channels; channel++)
            velocity[pixel(sample, row * p + i, column * p + j, channel)] = values[(i * p + j) * out + channel]!;
    });
    return tapped;
  });
  return { velocity, features };
}

/** df/dx_i by central differences. */
export function slope(f: (x: Float64Array) => number, x: Float64Array, i: number, h = 1e-5): number {
  const moved = x.slice();
  moved[i] = x[i]! + h;
  const above = f(moved);
  moved[i] = x[i]! - h;
  return (above - f(moved)) / (2 * h);
}
