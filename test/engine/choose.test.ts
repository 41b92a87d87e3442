import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openEngine } from '../../src/engine/choose.ts';

describe('choosing an engine', () => {
  it('takes the best that is there, and says which', async () => {
    const { engine, message } = await openEngine();
    expect(engine.name).toBe('native');
    expect(message).toMatch(/^engine: native \(TensorFlow 2\.21\.0, cpu, \d+ threads?\)$/);
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

  /** In a process whose cache is empty: as where setup.js could not bring the native engine. */
  const withoutLibraries = (choice: string): string => {
    const script = `
      import { openEngine } from ${JSON.stringify(fileURLToPath(new URL('../../src/engine/choose.ts', import.meta.url)))};
      await openEngine(${choice}).then(({ message }) => console.log(message), ({ code, message, hint }) => console.log(code, message, hint));`;
    const env = { ...process.env, REPULSOR_CACHE: '/nonexistent' };
    return execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      env,
      encoding: 'utf8',
    });
  };

  it('says out loud why it is not the best one', () => {
    expect(withoutLibraries('{}')).toMatch(
      /^engine: wasm \(tfjs-wasm.*slower than could be: native: TensorFlow 2\.21\.0 is not in \/nonexistent.*setup\.js.*\n$/,
    );
  });

  it('never takes another than the one that was named', () => {
    expect(withoutLibraries("{ name: 'native' }")).toMatch(
      /^ENGINE_UNAVAILABLE TensorFlow 2\.21\.0 is not in .* run: node setup\.js/,
    );
  });
});
