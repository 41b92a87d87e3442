import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import type { HostTensor } from '../../src/engine/engine.ts';
import { product } from '../../src/engine/product.ts';
import { gaussian, OPEN } from './engines.ts';

/** Sums in float64. a: (k, m) where it is transposed, else (m, k); b likewise. */
function plain(a: HostTensor, b: HostTensor, ta: boolean, tb: boolean, bias?: HostTensor): number[] {
  const [m, k] = ta ? a.shape.toReversed() : a.shape;
  const n = tb ? b.shape[0]! : b.shape[1]!;
  const y: number[] = [];
  for (let i = 0; i < m!; i++)
    for (let j = 0; j < n; j++) {
      let sum = bias?.data[j] ?? 0;
      for (let s = 0; s < k!; s++) sum += a.data[ta ? s * m! + i : i * k! + s]! * b.data[tb ? j * k! + s : s * n + j]!;
      y.push(sum);
    }
  return y;
}

/** Results of 65,536 elements and more are made the other way round and turned where that is faster. */
const CASES = [
  { m: 520, k: 5, n: 130, ta: true, tb: false },
  { m: 130, k: 5, n: 520, ta: true, tb: false },
  { m: 12, k: 5, n: 7, ta: true, tb: false },
  { m: 520, k: 5, n: 130, ta: true, tb: true },
  { m: 520, k: 5, n: 130, ta: false, tb: true, bias: true },
  { m: 520, k: 5, n: 130, ta: true, tb: false, bias: true },
  { m: 9, k: 4, n: 3, ta: false, tb: false, bias: true },
];

it.each(CASES)('a product of $m x $k x $n is that of plain sums (transposed: $ta, $tb; a bias: $bias)', async (of) => {
  const { m, k, n, ta, tb } = of;
  const a = gaussian('a', ta ? [k, m] : [m, k]);
  const b = gaussian('b', tb ? [n, k] : [k, n]);
  const bias = of.bias ? gaussian('bias', [n]) : undefined;
  const engine = await OPEN.native();
  const program = await engine.compile({
    name: 'product',
    seed: 0,
    state: { a, b, ...(bias && { bias }) },
    inputs: {},
    fn: (s) => ({ outputs: { y: tf.add(product(s['a']!, s['b']!, ta, tb, s['bias']), 0) } }),
  });
  try {
    const { y } = await program.run({}, 0);
    expect(y!.shape).toEqual([m, n]);
    const expected = plain(a, b, ta, tb, bias);
    let worst = 0;
    for (const [i, value] of expected.entries()) worst = Math.max(worst, Math.abs(y!.data[i]! - value));
    expect(worst).toBeLessThan(1e-5);
  } finally {
    program.dispose();
  }
});
