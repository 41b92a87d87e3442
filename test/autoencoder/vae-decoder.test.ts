import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openVaeDecoder } from '../../src/autoencoder/vae-decoder.ts';
import { BLOCKS, writeModel } from './models.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-decoder-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('latents of any number become images, channels last, in their order', async () => {
  const n = 150; // more than one run takes
  const latents = Float32Array.from({ length: n * 2 * 3 * 2 }, (_, i) => Math.sin(i));
  for (const batch of ['n', 4] as const) {
    const input = { name: 'latent_sample', shape: [batch, 2, 'h', 'w'] };
    const decoder = await openVaeDecoder(await writeModel(folder, `${batch}.onnx`, { ...BLOCKS, inputs: [input] }));
    const { images, shape } = await decoder.decode(latents, [2, 3, 2]);
    await decoder.close();
    expect(shape).toEqual([4, 6, 2]);
    expect(images.length).toBe(n * 4 * 6 * 2);
    for (let i = 0; i < images.length; i++) {
      const [image, y, x, k] = [Math.floor(i / 48), Math.floor(i / 12) % 4, Math.floor(i / 2) % 6, i % 2];
      const from = ((image * 2 + Math.floor(y / 2)) * 3 + Math.floor(x / 2)) * 2 + k;
      if (images[i] !== latents[from]) throw new Error(`value ${i} is ${images[i]}, not ${latents[from]}`);
    }
  }
});

test('latents that do not fit are refused by name', async () => {
  const input = { name: 'latent_sample', shape: ['n', 4, 'h', 'w'] };
  const decoder = await openVaeDecoder(await writeModel(folder, 'four.onnx', { ...BLOCKS, inputs: [input] }));
  await expect(decoder.decode(new Float32Array(8), [2, 2, 2])).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(
      /four\.onnx takes latent_sample float32 \[n, 4, h, w\].*the latents are 2 x 2 with 2/,
    ),
  });
  await decoder.close();
});
