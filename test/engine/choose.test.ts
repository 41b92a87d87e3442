import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openEngine } from '../../src/engine/choose.ts';

describe('choosing an engine', () => {
  it('takes the best that is there, and says which', async () => {
    const { engine, message } = await openEngine();
    expect(engine.name).toBe('native');
    expect(message).toMatch(/^engine: native \(TensorFlow 2\.21\.0( for CUDA 12)?, (cpu|gpu \(.*\)), \d+ threads?\)$/);
  });

  it.each(['wasm', 'cpu'] as const)('takes %s when it is asked for', async (name) => {
    const { engine, message } = await openEngine({ name });
    expect(engine.name).toBe(name);
    expect(message).toMatch(new RegExp(`^engine: ${name} \\(tfjs-${name} 4\\.22\\.0, cpu, 1 thread\\)$`));
  });

  it('refuses another number of threads than this process has, and none', async () => {
    const { engine } = await openEngine({ name: 'native' });
    await expect(openEngine({ name: 'native', threads: engine.threads + 1 })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining(`${engine.threads} threads in this process`),
    });
    await expect(openEngine({ threads: 0 })).rejects.toMatchObject({ code: 'CONFIG' });
  });

  it('opens the native one after another library was loaded, as the driver is before it on a GPU', () => {
    const source = (path: string) => JSON.stringify(new URL(`../../src/engine/${path}`, import.meta.url).href);
    const script = `
      import { koffi } from ${source('native/ffi.ts')};
      koffi.load('libm.so.6');
      const { openNativeEngine } = await import(${source('native/native-engine.ts')});
      console.log((await openNativeEngine()).name);`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('native\n');
  });

  /** In a process whose cache is empty: as where setup.js could not bring the native engine. */
  const withoutLibraries = (choice: string, more: Record<string, string> = {}): string => {
    const script = `
      import { openEngine } from ${JSON.stringify(fileURLToPath(new URL('../../src/engine/choose.ts', import.meta.url)))};
      await openEngine(${choice}).then(({ message }) => console.log(message), ({ code, message, hint }) => console.log(code, message, hint));`;
    const env = { ...process.env, REPULSOR_CACHE: '/nonexistent', ...more };
    return execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      env,
      encoding: 'utf8',
    });
  };

  it('says out loud why it is not the best one', () => {
    expect(withoutLibraries('{}')).toMatch(
      /^engine: wasm \(tfjs-wasm.*slower than could be: native-cpu: TensorFlow 2\.21\.0 is not in \/nonexistent.*setup\.js.*\n$/,
    );
  });

  it('never takes another device than the one that was named', () => {
    expect(withoutLibraries("{ name: 'native-gpu' }")).toMatch(
      /^ENGINE_UNAVAILABLE (libcuda\.so\.1, the|the NVIDIA|Tensor)/,
    );
  });

  it('says of a GPU that cannot be used why, and goes on without it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'repulsor-choose-'));
    try {
      const smi = join(folder, 'nvidia-smi');
      writeFileSync(smi, '#!/bin/sh\necho NVIDIA T4, 470.82.01\n', { mode: 0o755 });
      const message = withoutLibraries("{ name: 'auto' }", { PATH: `${folder}:${process.env['PATH']}` });
      expect(message).toMatch(
        /^engine: wasm .* slower than could be: native-gpu: the driver of NVIDIA T4 is 470\.82\.01, and CUDA 12 needs 525.* \(mend .*; native-cpu: /,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('never takes another than the one that was named', () => {
    expect(withoutLibraries("{ name: 'native' }")).toMatch(
      /^ENGINE_UNAVAILABLE TensorFlow 2\.21\.0 is not in .* run: node setup\.js/,
    );
  });
});

it('an engine opened beside another runs as that one does, where it is not said how', async () => {
  const script = `
    const { openEngine } = await import(${JSON.stringify(new URL('../../src/engine/choose.ts', import.meta.url).href)});
    await openEngine({ name: 'native-cpu', threads: 2, lanes: 2 });
    const { engine } = await openEngine({ name: 'auto' });
    console.log(engine.name, engine.threads, engine.lanes);
  `;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('native 2 2\n');
}, 60_000);
