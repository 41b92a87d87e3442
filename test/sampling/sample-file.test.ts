import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { HostTensors } from '../../src/engine/engine.ts';
import { readNoise, writeSamples } from '../../src/sampling/sample-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-noise-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Two images of 2 x 3 pixels and 4 channels: the number of each element says where it stands. */
const INPUT = [2, 3, 4] as const;
const number = (n: number, y: number, x: number, c: number) => 1000 * n + 100 * y + 10 * x + c;
const each = <T>(count: number, of: (i: number) => T[]) => Array.from({ length: count }, (_, i) => of(i)).flat();
const LAST = Float32Array.from(each(2, (n) => each(2, (y) => each(3, (x) => each(4, (c) => [number(n, y, x, c)])))));
const FIRST = Float32Array.from(each(2, (n) => each(4, (c) => each(2, (y) => each(3, (x) => [number(n, y, x, c)])))));

async function file(name: string, tensors: HostTensors): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([...encodeSafetensors(tensors).chunks()]));
  return path;
}
const noise = (shape: number[], data: Float32Array): HostTensors => ({ noise: { shape, dtype: 'float32', data } });

describe('noise', () => {
  test('is read with its channels first or last, as its shape says', async () => {
    const last = await readNoise(await file('last', noise([2, 2, 3, 4], LAST)), INPUT, undefined);
    expect(last).toEqual({ noise: LAST, layout: 'nhwc' });
    const first = await readNoise(await file('first', noise([2, 4, 2, 3], FIRST)), INPUT, undefined);
    expect(first).toEqual({ noise: LAST, layout: 'nchw' });
  });

  test('of a shape that fits both is read as it is told, and not guessed', async () => {
    const path = await file('cube', noise([1, 2, 2, 2], Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7)));
    await expect(readNoise(path, [2, 2, 2], undefined)).rejects.toMatchObject({ code: 'USAGE', hint: /--layout/ });
    expect([...(await readNoise(path, [2, 2, 2], 'nhwc')).noise]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...(await readNoise(path, [2, 2, 2], 'nchw')).noise]).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
  });

  test('may have any name when it is alone; among others it is the one called so', async () => {
    const z = noise([2, 2, 3, 4], LAST)['noise']!;
    expect((await readNoise(await file('alone', { z }), INPUT, undefined)).noise).toEqual(LAST);
    const path = await file('many', { z: { shape: [1], dtype: 'float32', data: new Float32Array(1) }, noise: z });
    expect((await readNoise(path, INPUT, undefined)).noise).toEqual(LAST);
    const unnamed = await file('unnamed', { y: z, z });
    await expect(readNoise(unnamed, INPUT, undefined)).rejects.toMatchObject({ message: /no tensor named noise/ });
  });

  test('that the model cannot begin from is refused by its shape', async () => {
    const path = await file('odd', noise([2, 3, 2, 4], LAST));
    await expect(readNoise(path, INPUT, undefined)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/is F32 \(2,3,2,4\); the model takes float32 \(n, 2, 3, 4\) or \(n, 4, 2, 3\)/),
    });
    await expect(readNoise(join(folder, 'last'), INPUT, 'nchw')).rejects.toMatchObject({ code: 'USAGE' });
  });
});

test.each(['nhwc', 'nchw'] as const)('samples are written %s, and their noise can be read again', async (layout) => {
  const path = join(folder, `samples-${layout}`);
  const drawing = { images: LAST, noise: LAST.map((v) => -v), labels: [7, 9], perLabel: 1, seed: 0, evaluations: 1 };
  await writeSamples(path, drawing, INPUT, layout, { solver: 'heun' });
  const { tensors, metadata } = await decodeSafetensors([await readFile(path)], (await stat(path)).size, path);
  expect(metadata).toEqual({ solver: 'heun', layout });
  expect(tensors.get('samples')).toEqual({
    ...{ dtype: 'F32', shape: layout === 'nhwc' ? [2, 2, 3, 4] : [2, 4, 2, 3] },
    data: layout === 'nhwc' ? LAST : FIRST,
  });
  expect([...tensors.get('labels')!.data]).toEqual([7, 9]);
  expect((await readNoise(path, INPUT, undefined)).noise).toEqual(drawing.noise);
});

test('a file that cannot be written says so, and leaves nothing behind', async () => {
  const drawing = { images: LAST, noise: LAST, labels: [7, 9], perLabel: 1, seed: 0, evaluations: 1 };
  const path = join(folder, 'no', 'such', 'file');
  await expect(writeSamples(path, drawing, INPUT, 'nhwc', {})).rejects.toMatchObject({ code: 'STORE_FAILED' });
});
