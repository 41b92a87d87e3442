import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { openVaeDecoder } from '../../src/autoencoder/vae-decoder.ts';
import { openVaeEncoder } from '../../src/autoencoder/vae-encoder.ts';
import { vaeFolder } from '../../src/autoencoder/vae-files.ts';
import { decodeSafetensors } from '../../src/checkpoint/safetensors.ts';

/** A real AutoencoderKL of diffusers, exported by PyTorch, against what PyTorch computes with it: make_fixtures.py. */
const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));
const SHAPE = [20, 12, 3] as const;
const LATENT = [10, 6, 4] as const;
let values: Record<string, Float32Array>;
let images: Uint8Array[];

beforeAll(async () => {
  const file = join(FIXTURES, 'values.safetensors');
  const { tensors } = await decodeSafetensors(createReadStream(file), (await stat(file)).size, file);
  values = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data as Float32Array]));
  const size = SHAPE[0] * SHAPE[1] * SHAPE[2];
  images = [0, 1, 2].map((n) => Uint8Array.from(values['images']!.subarray(n * size, (n + 1) * size)));
});

/** Relative to the largest value. */
function difference(found: Float32Array, wanted: Float32Array): number {
  expect(found.length).toBe(wanted.length);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return found.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0) / largest;
}

test('its encoder gives mean and deviation as PyTorch does, at a size and number that it was not exported with', async () => {
  const files = await vaeFolder(join(FIXTURES, 'vae'));
  expect(files!.scale).toBe(0.13025);
  const encoder = await openVaeEncoder(files!.encoder!);
  const posteriors = await encoder.encode(images, SHAPE);
  await encoder.close();
  expect(posteriors.map(({ shape }) => shape)).toEqual([LATENT, LATENT, LATENT]);
  const all = (of: readonly Float32Array[]) => Float32Array.from(of.flatMap((one) => [...one]));
  expect(difference(all(posteriors.map(({ mean }) => mean)), values['mean']!)).toBeLessThan(1e-5);
  expect(difference(all(posteriors.map(({ std }) => std!)), values['std']!)).toBeLessThan(1e-5);
});

test('its decoder gives the images that PyTorch does', async () => {
  const decoder = await openVaeDecoder(join(FIXTURES, 'vae', 'vae_decoder', 'model.onnx'));
  const decoded = await decoder.decode(values['mean']!, LATENT);
  await decoder.close();
  expect(decoded.shape).toEqual(SHAPE);
  expect(difference(decoded.images, values['decoded']!)).toBeLessThan(1e-5);
});

test('its encoder as older versions exported it, which draws by itself, is refused by name', async () => {
  const encoder = await openVaeEncoder(join(FIXTURES, 'drawing.onnx'));
  await expect(encoder.encode(images, SHAPE)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(/drawing\.onnx gives other latents for the same image each time/),
  });
  await encoder.close();
});
