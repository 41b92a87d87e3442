import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, test } from 'vitest';
import { openEngine } from '../../src/engine/choose.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { secondView, type ViewSettings } from '../../src/losses/second-view.ts';
import { uniforms } from '../../src/random/philox.ts';

const [B, H, W, C] = [24, 4, 5, 2];
const images = Float32Array.from({ length: B * H * W * C }, (_, i) => i);
const engines: Engine[] = [];
afterAll(() => engines.forEach((engine) => void engine.dispose()));

async function views(name: 'native' | 'wasm' | 'cpu', settings: ViewSettings, step = 1): Promise<Float32Array> {
  const { engine } = await openEngine({ name });
  engines.push(engine);
  const program = await engine.compile({
    name: 'view',
    seed: 3,
    state: {},
    inputs: { images: { shape: [B, H, W, C], dtype: 'float32' } },
    fn: (_, inputs, random) => ({ outputs: { view: tf.mul(secondView(inputs['images']!, settings, random), 1) } }),
  });
  const { view } = await program.run({ images }, step);
  program.dispose();
  return view!.data as Float32Array;
}

/** The move and mirroring of image n under which it came out as it did; null when none explains it. */
function explained(view: Float32Array, n: number, shift: number): string | null {
  const within = (i: number, size: number) => Math.min(size - 1, Math.max(0, i));
  for (const mirrored of [false, true]) {
    for (let dy = -shift; dy <= shift; dy++) {
      for (let dx = -shift; dx <= shift; dx++) {
        let same = true;
        for (let row = 0; row < H; row++)
          for (let column = 0; column < W; column++)
            for (let c = 0; c < C; c++) {
              const at = within(column + dx, W);
              const from = ((n * H + within(row + dy, H)) * W + (mirrored ? W - 1 - at : at)) * C + c;
              same &&= view[((n * H + row) * W + column) * C + c] === images[from];
            }
        if (same) return `${mirrored} ${dy} ${dx}`;
      }
    }
  }
  return null;
}

describe.each(['native', 'wasm', 'cpu'] as const)('a second view on %s', (name) => {
  test('is each image moved and mirrored by draws of its own, the edge repeated', async () => {
    const view = await views(name, { time: 'own', flip: true, shift: 2 });
    const found = Array.from({ length: B }, (_, n) => explained(view, n, 2));
    const mirrored = uniforms(3, 'view-flip', 1, B);
    const moves = [...uniforms(3, 'view-shift', 1, 2 * B)].map((u) => Math.floor(5 * u) - 2);
    expect(found).toEqual(found.map((_, n) => `${mirrored[n]! < 0.5} ${moves[2 * n]} ${moves[2 * n + 1]}`));
    expect(new Set(moves)).toEqual(new Set([-2, -1, 0, 1, 2]));
    expect(new Set(found.map((move) => move!.split(' ')[0])).size).toBe(2);
    expect(await views(name, { time: 'own', flip: true, shift: 2 }, 2)).not.toEqual(view);
  });

  test('with nothing asked of it is the image', async () => {
    expect(await views(name, { time: 'own', flip: false, shift: 0 })).toEqual(images);
  });
});

test('is the same on every engine', async () => {
  const all = { time: 'own', flip: true, shift: 1 } as const;
  const cpu = await views('cpu', all);
  expect(await views('wasm', all)).toEqual(cpu);
  expect(await views('native', all)).toEqual(cpu);
});
