import * as tf from '@tensorflow/tfjs-core';
import type { HostTensors, ProgramDefinition, Tensors } from '../../src/engine/engine.ts';
import { normals } from '../../src/random/philox.ts';

export interface TransformerSize {
  readonly batch: number;
  readonly tokens: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
}

/** Of about the shape and cost of what the engine is for: blocks, backward, AdamW with clipping, EMA, a ring queue. */
export function transformerProgram(
  { batch, tokens, width, depth, heads }: TransformerSize,
  queue = 512,
): ProgramDefinition {
  const patch = 16;
  const shapes: Record<string, number[]> = { embed: [patch, width], bias: [width], out: [width, patch] };
  for (let i = 0; i < depth; i++) {
    Object.assign(shapes, {
      [`${i}.modulation`]: [width, 6 * width],
      [`${i}.qkv`]: [width, 3 * width],
      [`${i}.projection`]: [width, width],
      [`${i}.up`]: [width, 4 * width],
      [`${i}.upBias`]: [4 * width],
      [`${i}.down`]: [4 * width, width],
    });
  }
  const names = Object.keys(shapes);
  const state: HostTensors = {};
  const host = (shape: number[], data: Float32Array) => ({ shape, dtype: 'float32' as const, data });
  for (const [name, shape] of Object.entries(shapes)) {
    const size = shape.reduce((a, b) => a * b, 1);
    const initial = normals(0, name, 0, size).map((x) => x / Math.sqrt(shape[0]!));
    state[`p.${name}`] = host(shape, initial);
    state[`m.${name}`] = host(shape, new Float32Array(size));
    state[`v.${name}`] = host(shape, new Float32Array(size));
    state[`e.${name}`] = host(shape, initial.slice());
  }
  state['queue'] = host([queue, width], normals(0, 'queue', 0, queue * width));
  state['queueAt'] = { shape: [], dtype: 'int32', data: Int32Array.of(0) };

  const normalise = (x: tf.Tensor) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-6)));
  };
  const linear = (x: tf.Tensor, w: tf.Tensor) =>
    tf.reshape(tf.matMul(tf.reshape(x, [-1, x.shape.at(-1)!]), w as tf.Tensor2D), [
      ...x.shape.slice(0, -1),
      w.shape[1]!,
    ]);
  const gelu = (x: tf.Tensor) =>
    tf.mul(
      tf.mul(x, 0.5),
      tf.add(tf.tanh(tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), 0.7978845608)), 1),
    );

  function forward(p: Tensors, x: tf.Tensor, t: tf.Tensor): { v: tf.Tensor; z: tf.Tensor } {
    let h = tf.add(linear(x, p['embed']!), p['bias']!); // (N, T, D)
    const c = tf.mul(tf.expandDims(t, 1), tf.ones([1, width])); // (N, D)
    let z = tf.mean(h, 1);
    for (let i = 0; i < depth; i++) {
      const m = tf.split(tf.expandDims(linear(tf.mul(c, tf.sigmoid(c)), p[`${i}.modulation`]!), 1), 6, -1);
      const a = tf.add(tf.mul(normalise(h), tf.add(m[0]!, 1)), m[1]!);
      const qkv = tf.transpose(
        tf.reshape(linear(a, p[`${i}.qkv`]!), [batch, tokens, 3, heads, width / heads]),
        [2, 0, 3, 1, 4],
      );
      const [q, k, w] = tf.unstack(qkv);
      const scores = tf.mul(tf.matMul(q!, k!, false, true), 1 / Math.sqrt(width / heads));
      const mixed = tf.reshape(tf.transpose(tf.matMul(tf.softmax(scores), w!), [0, 2, 1, 3]), [batch, tokens, width]);
      h = tf.add(h, tf.mul(linear(mixed, p[`${i}.projection`]!), m[2]!));
      const b = tf.add(tf.mul(normalise(h), tf.add(m[3]!, 1)), m[4]!);
      h = tf.add(h, tf.mul(linear(gelu(tf.add(linear(b, p[`${i}.up`]!), p[`${i}.upBias`]!)), p[`${i}.down`]!), m[5]!));
      if (i === 0) z = tf.mean(h, 1);
    }
    return { v: linear(normalise(h), p['out']!), z: tf.div(z, tf.norm(z, 2, -1, true)) };
  }

  return {
    name: 'transformer',
    seed: 7,
    state,
    inputs: { x: { shape: [batch, tokens, patch], dtype: 'float32' }, step: { shape: [], dtype: 'float32' } },
    fn: (s, { x, step }, random) => {
      const noise = random.normal('noise', [batch, tokens, patch]);
      const t = random.uniform('time', [batch]);
      const at = tf.reshape(t, [batch, 1, 1]);
      const mixed = tf.add(tf.mul(x!, at), tf.mul(noise, tf.sub(1, at)));
      const bank = s['queue']!;
      let keys!: tf.Tensor;
      const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
        const p = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
        const { v, z } = forward(p, mixed, t);
        keys = tf.keep(z.clone());
        const flow = tf.mean(tf.square(tf.sub(v, tf.sub(x!, noise))));
        const near = tf.logSumExp(tf.mul(tf.sub(tf.matMul(z as tf.Tensor2D, bank as tf.Tensor2D, false, true), 1), 4));
        return tf.add(flow, tf.mul(near, 0.05)).asScalar();
      })(names.map((name) => s[`p.${name}`]!));
      const norm = tf.sqrt(tf.addN(grads.map((g) => tf.sum(tf.square(g)))));
      const scale = tf.minimum(1, tf.div(1, tf.add(norm, 1e-6)));
      const next: Tensors = {};
      const c1 = tf.sub(1, tf.pow(0.9, tf.add(step!, 1)));
      const c2 = tf.sub(1, tf.pow(0.99, tf.add(step!, 1)));
      for (const [i, name] of names.entries()) {
        const g = tf.mul(grads[i]!, scale);
        const m = tf.add(tf.mul(s[`m.${name}`]!, 0.9), tf.mul(g, 0.1));
        const v = tf.add(tf.mul(s[`v.${name}`]!, 0.99), tf.mul(tf.square(g), 0.01));
        const update = tf.div(tf.div(m, c1), tf.add(tf.sqrt(tf.div(v, c2)), 1e-8));
        const p = tf.sub(tf.mul(s[`p.${name}`]!, 1 - 1e-5), tf.mul(update, 1e-3));
        next[`m.${name}`] = m;
        next[`v.${name}`] = v;
        next[`p.${name}`] = p;
        next[`e.${name}`] = tf.add(tf.mul(s[`e.${name}`]!, 0.995), tf.mul(p, 0.005));
      }
      const rows = tf.mod(tf.add(tf.range(0, batch, 1, 'int32'), s['queueAt']!), tf.scalar(queue, 'int32'));
      next['queue'] = tf.tensorScatterUpdate(bank, tf.expandDims(rows, 1), keys);
      next['queueAt'] = tf.mod(tf.add(s['queueAt']!, tf.scalar(batch, 'int32')), tf.scalar(queue, 'int32'));
      const outputs = { loss: value, norm, keys: keys.clone() };
      keys.dispose();
      return { state: next, outputs };
    },
  };
}

/** A batch for it, different at every step. */
export const transformerInputs = ({ batch, tokens }: TransformerSize, step: number) => ({
  x: normals(1, 'images', step, batch * tokens * 16),
  step: Float32Array.of(step),
});
