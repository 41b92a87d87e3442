import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { OPEN, runOnce } from './engines.ts';

describe.each(['native', 'wasm', 'cpu'] as const)('random numbers on the %s engine', (name) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await OPEN[name]();
  });

  const draw = async (seed: number, step: number, purpose: string, shape: number[]) => {
    const drawn = await runOnce(
      engine,
      {},
      (_, random) => ({ uniform: random.uniform(purpose, shape), normal: random.normal(purpose, shape) }),
      { seed, step },
    );
    expect(drawn.uniform!.shape).toEqual(shape);
    return { uniform: drawn.uniform!.data as Float32Array, normal: drawn.normal!.data as Float32Array };
  };

  it('are those of src/random: uniforms bit for bit, normals to 1e-6', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.maxSafeInteger(),
        fc.maxSafeNat(),
        fc.string(),
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }),
        async (seed, step, purpose, shape) => {
          const count = shape.reduce((a, b) => a * b, 1);
          const { uniform, normal } = await draw(seed, step, purpose, shape);
          expect(uniform).toEqual(uniforms(seed, purpose, step, count));
          const expected = normals(seed, purpose, step, count);
          for (const [i, value] of normal.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('stay so where the native engine shares the work among threads', async () => {
    const count = 1_000_003;
    const { uniform, normal } = await draw(3, 12, 'many', [count]);
    expect(Buffer.compare(Buffer.from(uniform.buffer), Buffer.from(uniforms(3, 'many', 12, count).buffer))).toBe(0);
    const expected = normals(3, 'many', 12, count);
    let worst = 0;
    for (let i = 0; i < count; i++) worst = Math.max(worst, Math.abs(normal[i]! - expected[i]!));
    expect(worst).toBeLessThan(1e-6);
  });

  it('differ by step within one program, and come back with the step', async () => {
    const program = await engine.compile({
      name: 'noise',
      seed: 5,
      state: {},
      inputs: {},
      fn: (_, __, random) => ({
        outputs: { a: random.uniform('a', [4]), again: random.uniform('a', [4]), b: random.uniform('b', [4]) },
      }),
    });
    const first = await program.run({}, 0);
    const second = await program.run({}, 1);
    expect(await program.run({}, 0)).toEqual(first);
    program.dispose();
    expect(second.a!.data).not.toEqual(first.a!.data);
    expect(first.again).toEqual(first.a); // One purpose, one stream.
    expect(first.b!.data).not.toEqual(first.a!.data);
  });
});
