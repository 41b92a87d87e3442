import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import type { Engine, HostTensor } from '../../src/engine/engine.ts';
import { runInBatches } from '../../src/engine/run-in-batches.ts';
import { normals } from '../../src/random/philox.ts';
import { difference, float, gaussian, int, OPEN } from './engines.ts';

const SIZE = 4;

/** Row by row: sums, with noise of the batch's own, and which whole numbers came with it. */
const compile = (engine: Engine, shapes: string[] = []) =>
  engine.compile({
    name: 'rows',
    seed: 3,
    state: {},
    inputs: { x: { shape: [SIZE, 2, 3], dtype: 'float32' }, by: { shape: [SIZE], dtype: 'int32' } },
    fn: (_, { x, by }, random) => {
      shapes.push(String(x!.shape));
      const sums = tf.mul(tf.sum(x!, 1), tf.cast(tf.expandDims(by!, 1), 'float32'));
      return { outputs: { sums: tf.add(sums, random.normal('noise', [SIZE, 1])), by: by! } };
    },
  });

test.each([0, 1, 3, 4, 5, 8, 11])('%i rows give what each of them gives, in batches of 4', async (n) => {
  const x = gaussian('x', [n, 2, 3]);
  const by = int(
    [n],
    Array.from({ length: n }, (_, i) => i + 1),
  );
  const expected = Float32Array.from({ length: n * 3 }, (_, k) => {
    const [i, column] = [Math.floor(k / 3), k % 3];
    const noise = normals(3, 'noise', Math.floor(i / SIZE), SIZE)[i % SIZE]!;
    return (x.data[6 * i + column]! + x.data[6 * i + 3 + column]!) * (i + 1) + noise;
  });
  for (const name of ['native', 'cpu'] as const) {
    const shapes: string[] = [];
    const program = await compile(await OPEN[name](), shapes);
    const outputs = await runInBatches(program, { x, by }, SIZE);
    program.dispose();
    expect(difference(outputs['sums']!, float([n, 3], expected))).toBeLessThan(1e-5);
    expect(outputs['by']).toEqual(by);
    expect(new Set(shapes)).toEqual(new Set(['4,2,3']));
  }
});

test('inputs that do not fit each other, or the program, are refused', async () => {
  const program = await compile(await OPEN.native());
  const x = gaussian('x', [8, 2, 3]);
  const run = (by: HostTensor) => runInBatches(program, { x, by }, SIZE);
  await expect(run(int([4], new Int32Array(4)))).rejects.toThrow('different numbers of rows: x 8, by 4');
  await expect(run(int([], [1]))).rejects.toThrow('x 8, by none');
  await expect(run(int([8, 2], new Int32Array(16)))).rejects.toThrow('input "by" has 8 elements');
  await expect(runInBatches(program, {}, SIZE)).rejects.toThrow('there are none');
  program.dispose();
});
