import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { compileSiT } from '../../src/model/compile-sit.ts';
import { createSiT, namedParameters, type SiT, type SiTInputSettings } from '../../src/model/create-sit.ts';
import { sitLayout } from '../../src/model/sit.ts';
import { normals } from '../../src/random/philox.ts';
import { named, plainSit } from './plain-sit.ts';

const SMALL: SiTInputSettings = { input: [4, 6, 2], patch: 2, width: 8, depth: 2, heads: 2, classes: 3 };

let engine: Engine;
beforeAll(async () => {
  engine = await openCpuEngine();
});
afterAll(() => engine.dispose());

describe('a new model', () => {
  test('is a function of its settings and seed', () => {
    const again = createSiT(SMALL, 4);
    expect(again).toEqual(createSiT({ ...SMALL, mlpRatio: 4, timeScale: 1, learnSigma: false }, 4));
    expect(again.parameters).not.toEqual(createSiT(SMALL, 5).parameters);
  });

  test('names all its parameters, which are views', () => {
    const { model, parameters } = createSiT(SMALL, 4);
    const of = Object.values(namedParameters({ model, parameters }));
    expect(of.reduce((sum, { data }) => sum + data.length, 0)).toBe(parameters.length);
    expect(of.every(({ data }) => data.buffer === parameters.buffer)).toBe(true);
  });

  test.each([
    [{ patch: 4 }, "model.patch: 4 does not divide the input's 4 x 6"],
    [{ heads: 3 }, 'model.heads: 3 heads do not divide a width of 8'],
    [{ width: 6 }, '4 does not divide 6'],
    [{ depth: 0 }, 'model.depth: whole numbers from 1 on, not 0'],
    [{ input: [4, 6, 1.5] as const }, 'model.input: whole numbers from 1 on, not 4,6,1.5'],
  ])('is refused by name: %j', (wrong, words) => {
    expect(() => createSiT({ ...SMALL, ...wrong }, 0)).toThrow(words);
  });
});

test('a compiled model predicts what the plain one does, and shows the blocks that were asked for', async () => {
  const { model, parameters } = createSiT(SMALL, 1);
  const away = normals(1, 'away', 0, parameters.length);
  const moved: SiT = { model, parameters: parameters.map((v, i) => v + 0.3 * away[i]!) };
  const input = { x: normals(1, 'x', 0, 2 * 48), t: Float32Array.of(0.2, 0.7), labels: Int32Array.of(0, 3) };
  const network = await compileSiT(engine, moved, { blocks: [2, 1] });
  const { output, features } = await network.forward(input);
  network.dispose();
  const flat = named(Float64Array.from(moved.parameters), sitLayout(model));
  const [first, second] = [1, 2].map((tap) => plainSit(flat, model, input.x, [...input.t], [...input.labels], tap));
  const near = (got: Float32Array, expected: ArrayLike<number>) =>
    expect(Math.max(...got.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-4);
  expect(output.length).toBe(2 * 48);
  near(output, first!.velocity);
  near(features[0]!, second!.features.flat(2));
  near(features[1]!, first!.features.flat(2));
});
