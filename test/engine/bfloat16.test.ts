import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import type { Program } from '../../src/engine/engine.ts';
import { fused } from '../../src/engine/fused.ts';
import { cpuHasFastBfloat16 } from '../../src/engine/native/bfloat16-speed.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { product } from '../../src/engine/product.ts';
import { selfAttention } from '../../src/model/attention.ts';
import { GELU } from '../../src/model/gelu.ts';
import { linear } from '../../src/model/linear.ts';
import { demandPrecision } from '../../src/trainer/demand-precision.ts';
import { definePipeline } from '../../src/trainer/pipeline.ts';
import { bytesOf, gaussian, OPEN } from './engines.ts';

/** To the nearest bfloat16, ties to even: the upper half of a float32. */
function rounded(x: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, x);
  const bits = view.getUint32(0);
  view.setUint32(0, (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
  return view.getFloat32(0);
}

const [N, D] = [6, 16];
const a = gaussian('a', [N, D]);
const b = gaussian('b', [D, N]);

/** By the hardware, and as on a CPU that multiplies float32 faster. */
const WAYS = ['fast', 'slow'] as const;
const open = (way: (typeof WAYS)[number]) => openNativeEngine('cpu', undefined, undefined, way);

async function products(precision: 'fp32' | 'bf16', way: (typeof WAYS)[number] = 'slow'): Promise<Float32Array> {
  const engine = await open(way);
  const program = await engine.compile({
    name: 'product',
    seed: 0,
    precision,
    state: { a, b },
    inputs: {},
    fn: (s) => ({ outputs: { y: product(s['a']!, s['b']!), exact: tf.matMul(s['a']!, s['b']!) } }),
  });
  try {
    const { y, exact } = await program.run({}, 0);
    if (precision === 'bf16') {
      // What asks for no product in the program's precision has none.
      const own = (i: number, j: number) =>
        Array.from({ length: D }, (_, k) => a.data[i * D + k]! * b.data[k * N + j]!);
      for (let i = 0; i < N; i++)
        for (let j = 0; j < N; j++) {
          const sum = own(i, j).reduce((x, v) => x + v, 0);
          expect(Math.abs(exact!.data[i * N + j]! - sum)).toBeLessThan(1e-5);
        }
    }
    return y!.data as Float32Array;
  } finally {
    program.dispose();
  }
}

describe('products in bfloat16', () => {
  it.each(WAYS)('are of rounded operands, summed in float32 (%s)', async (way) => {
    const y = await products('bf16', way);
    for (let i = 0; i < N; i++)
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < D; k++) sum += rounded(a.data[i * D + k]!) * rounded(b.data[k * N + j]!);
        // The hardware's are rounded too.
        const within = way === 'fast' ? 2 ** -8 * Math.max(Math.abs(sum), 1e-3) : 1e-5;
        expect(Math.abs(y[i * N + j]! - sum)).toBeLessThanOrEqual(within);
        if (way === 'fast') expect(rounded(y[i * N + j]!)).toBe(y[i * N + j]!);
      }
  });

  it('are float32 in a program that does not ask for them', async () => {
    const y = await products('fp32');
    expect(y.some((v) => rounded(v) !== v)).toBe(true);
  });
});

it.each(WAYS)('layers in bfloat16 stay near float32, with the same bits in every program (%s)', async (way) => {
  const engine = await open(way);
  const shapes = { x: [8, 64, 64], w: [192, 64], bias: [192], down: [32, 64], last: [32] };
  const make = (precision: 'fp32' | 'bf16'): Promise<Program> =>
    engine.compile({
      name: 'layers',
      seed: 0,
      precision,
      state: Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, gaussian(name, shape)])),
      inputs: {},
      fn: (s) => {
        const f = (x: tf.Tensor, w: tf.Tensor, bias: tf.Tensor, down: tf.Tensor, last: tf.Tensor) => {
          const attended = selfAttention(linear(tf.mul(x, 0.2), tf.mul(w, 0.2), bias), 2);
          return tf.mean(tf.square(linear(attended, down, last, GELU))) as tf.Scalar;
        };
        const names = Object.keys(shapes);
        const { value, grads } = tf.valueAndGrads(f as never)(names.map((name) => s[name]!));
        return { outputs: { value, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, grads[i]!])) } };
      },
    });
  const run = async (precision: 'fp32' | 'bf16') => {
    const program = await make(precision);
    try {
      return await program.run({}, 0);
    } finally {
      program.dispose();
    }
  };
  const [exact, half, again] = [await run('fp32'), await run('bf16'), await run('bf16')];
  expect(bytesOf(half).equals(bytesOf(again))).toBe(true);
  expect(bytesOf(half).equals(bytesOf(exact))).toBe(false);
  for (const [name, { data }] of Object.entries(exact)) {
    const length = Math.hypot(...data);
    const apart = Math.hypot(...data.map((v, i) => v - half[name]!.data[i]!));
    expect(apart / length, name).toBeLessThan(0.02);
  }
});

it('a large operand is rounded to the nearest, ties to even, whoever made it: a state, a function, a transposition', async () => {
  const [m, k] = [300, 128]; // more than the 32,768 elements from which functions are compiled
  const x = gaussian('x', [m, k]);
  // Ties: half of the last place above an even and an odd mantissa.
  x.data.set([1 + 2 ** -8, 1 + 3 * 2 ** -8, -(1 + 2 ** -8), 3e38, 1e-40]);
  const identity = { shape: [k, k], dtype: 'float32', data: new Float32Array(k * k) } as const;
  for (let i = 0; i < k; i++) identity.data[i * k + i] = 1;
  const engine = await open('slow');
  const program = await engine.compile({
    name: 'round',
    seed: 0,
    precision: 'bf16',
    state: { x, identity },
    inputs: {},
    fn: ({ x: state, identity: one }) => {
      const [made] = fused('same', [state!], (v) => [tf.mul(v, 1)], [0]);
      const turned = tf.transpose(tf.transpose(made!));
      return {
        outputs: { state: product(state!, one!), made: product(made!, one!), turned: product(turned, one!) },
      };
    },
  });
  try {
    const out = await program.run({}, 0);
    // Denormal numbers are flushed to zero by oneDNN and the compiler alike.
    for (const name of ['state', 'made', 'turned'])
      for (const [i, value] of x.data.entries())
        if (Math.abs(value) > 1e-37 && out[name]!.data[i] !== rounded(value))
          expect.fail(`${name}, element ${i}: ${out[name]!.data[i]}, not ${rounded(value)} of ${value}`);
  } finally {
    program.dispose();
  }
});

describe('bf16 is refused', () => {
  const pipeline = definePipeline({
    name: 'p',
    source: { topic: 't' },
    precision: 'bf16',
    model: { input: [8, 8, 1], patch: 4, width: 16, depth: 1, heads: 2, classes: 2 },
  });

  it('where it brings no speed, unless forced; never where it is faster or fp32 is asked for', async () => {
    const engine = await OPEN.native();
    const slow = { ...engine, bfloat16: 'slow' } as const;
    expect(() => demandPrecision(pipeline, slow, false)).toThrow(/no faster than fp32/);
    expect(() => demandPrecision(pipeline, slow, true)).not.toThrow();
    expect(() => demandPrecision(pipeline, { ...engine, bfloat16: 'fast' }, false)).not.toThrow();
    expect(() => demandPrecision({ ...pipeline, precision: 'fp32' }, slow, false)).not.toThrow();
  });

  it('by engines that have none, forced or not, also when they are asked to compile it', async () => {
    const wasm = await OPEN.wasm();
    expect(() => demandPrecision(pipeline, wasm, true)).toThrow(/the wasm engine has no bfloat16/);
    const definition = {
      name: 'p',
      seed: 0,
      precision: 'bf16',
      state: {},
      inputs: {},
      fn: () => ({ outputs: {} }),
    } as const;
    await expect(wasm.compile(definition)).rejects.toThrow(/no bfloat16/);
  });

  it('by the CPU itself: AMX is fast, AVX512_BF16 alone is not', () => {
    expect(cpuHasFastBfloat16('flags\t\t: fpu avx512_bf16 amx_bf16 amx_tile\n')).toBe(true);
    expect(cpuHasFastBfloat16('flags\t\t: fpu avx512_bf16 avx512_fp16\n')).toBe(false);
    expect(cpuHasFastBfloat16('')).toBe(false);
  });
});
