import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** Plain JavaScript, which runs before anything is installed. */
const { findGpu, CUDA_RELEASE } = (await import(new URL('../../setup.js', import.meta.url).href)) as {
  findGpu(where: { proc?: string; dev?: string; env?: Record<string, string> }): Promise<{
    gpu?: string;
    driver?: string;
    reason?: string;
  }>;
  CUDA_RELEASE: { preload: string[]; framework: string; cc: string; wheels: { file: string; files: object }[] };
};

let folder: string;
let proc: string;
let dev: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'repulsor-gpu-'));
  [proc, dev] = [join(folder, 'proc'), join(folder, 'dev')];
  mkdirSync(dev);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const PROPRIETARY = (version: string) =>
  `NVRM version: NVIDIA UNIX x86_64 Kernel Module  ${version}  Sat Aug 19 01:15:15 UTC 2023\nGCC version:  gcc 12\n`;
const OPEN = (version: string) =>
  `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  ${version}  Release Build  (x@y)\nGCC version: gcc 12\n`;

/** Files as the kernel module has them. */
function driver(version: string, ...models: string[]): void {
  mkdirSync(join(proc, 'gpus'), { recursive: true });
  writeFileSync(join(proc, 'version'), version);
  for (const [i, model] of models.entries()) {
    const gpu = join(proc, 'gpus', `0000:0${i}:00.0`);
    mkdirSync(gpu);
    writeFileSync(join(gpu, 'information'), `Model: \t\t ${model}\nIRQ:   \t\t 35\nGPU UUID: \t GPU-1\n`);
  }
}
const device = () => writeFileSync(join(dev, 'nvidiactl'), '');

/** An nvidia-smi that says `words` and ends with `status`; the PATH on which it lies. */
function smi(words: string, status = 0): Record<string, string> {
  const path = join(folder, 'nvidia-smi');
  writeFileSync(path, `#!/bin/sh\necho "${words}"\nexit ${status}\n`);
  chmodSync(path, 0o755);
  return { PATH: `${folder}:${process.env['PATH']}` };
}
const look = (env: Record<string, string> = { PATH: '' }) => findGpu({ proc, dev, env });

describe('an NVIDIA GPU', () => {
  it('is not there where nothing says so', async () => {
    expect(await look()).toEqual({});
    driver(PROPRIETARY('550.54.15')); // the module, and no GPU
    expect(await look()).toEqual({});
  });

  it.each([
    ['the proprietary module', PROPRIETARY],
    ['the open module', OPEN],
  ])('is named as %s names it, with the driver', async (_, version) => {
    driver(version('550.54.15'), 'NVIDIA A100-SXM4-40GB', 'NVIDIA T4');
    device();
    expect(await look()).toEqual({ gpu: 'NVIDIA A100-SXM4-40GB, NVIDIA T4', driver: '550.54.15' });
  });

  it.each([
    ['525.60.13', true],
    ['525.60.12', false],
    ['470.223.02', false],
    ['1000.1', true],
  ])('with the driver %s can be used: %s', async (version, can) => {
    driver(OPEN(version), 'NVIDIA T4');
    device();
    const { gpu, reason } = await look();
    expect(gpu).toBe(can ? 'NVIDIA T4' : undefined);
    if (!can) expect(reason).toBe(`the driver of NVIDIA T4 is ${version}, and CUDA 12 needs 525.60.13 or newer`);
  });

  it('of the host is not one of a container that did not get it', async () => {
    driver(OPEN('550.54.15'), 'NVIDIA T4');
    expect((await look()).reason).toMatch(/NVIDIA T4 is in this machine, but .*nvidiactl is not here/);
  });

  it('is hidden by CUDA_VISIBLE_DEVICES', async () => {
    driver(OPEN('550.54.15'), 'NVIDIA T4');
    device();
    expect(await look({ PATH: '', CUDA_VISIBLE_DEVICES: '' })).toEqual({});
    expect(await look({ PATH: '', CUDA_VISIBLE_DEVICES: '-1' })).toEqual({});
    expect(await look({ PATH: '', CUDA_VISIBLE_DEVICES: '0' })).toMatchObject({ gpu: 'NVIDIA T4' });
  });

  it('is asked of nvidia-smi where the kernel has no such files', async () => {
    expect(await look(smi('NVIDIA GeForce RTX 4090, 551.61'))).toEqual({
      gpu: 'NVIDIA GeForce RTX 4090',
      driver: '551.61',
    });
    expect(await look(smi('No devices were found'))).toEqual({});
    expect((await look(smi('Failed to initialize NVML: Driver/library version mismatch', 18))).reason).toMatch(
      /nvidia-smi finds no GPU that works: Failed to initialize NVML/,
    );
  });
});

it('every library that is loaded first is a pinned file of a pinned wheel', () => {
  const files = CUDA_RELEASE.wheels.flatMap((wheel) => Object.entries(wheel.files));
  for (const [, hash] of files) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  const names = files.map(([name]) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of [...CUDA_RELEASE.preload, CUDA_RELEASE.framework, CUDA_RELEASE.cc]) expect(names).toContain(name);
});
