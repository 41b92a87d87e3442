import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { vaeFolder } from '../../src/autoencoder/vae-files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-vae-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, content = ''): Promise<string> {
  const file = join(folder, path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, content);
  return file;
}

test('a folder as diffusers and optimum export it: both halves, and the scale of its configuration', async () => {
  const encoder = await put('vae_encoder/model.onnx');
  expect(await vaeFolder(folder)).toEqual({ encoder, decoder: null, scale: null });
  const decoder = await put('vae_decoder/model.onnx');
  await put('vae_decoder/config.json', '{"scaling_factor": 0.13025, "shift_factor": null}');
  expect(await vaeFolder(folder)).toEqual({ encoder, decoder, scale: 0.13025 });
  await put('vae_encoder/config.json', '{"scaling_factor": 0.5}');
  expect(await vaeFolder(folder)).toEqual({ encoder, decoder, scale: 0.5 });
});

test('a file is one half, which its user knows', async () => {
  expect(await vaeFolder(await put('encoder.onnx'))).toBe(null);
});

test('what is not there, not JSON, or asks for a shift is refused by name', async () => {
  await expect(vaeFolder(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'USAGE' });
  await put('vae_encoder/config.json', '{"scaling_factor": 0.3611, "shift_factor": 0.1159}');
  await expect(vaeFolder(folder)).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('0.1159') });
  await put('vae_encoder/config.json', 'scaling');
  await expect(vaeFolder(folder)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(join('vae_encoder', 'config.json')),
  });
});
