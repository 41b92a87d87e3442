import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine, ProgramDefinition } from '../../src/engine/engine.ts';
import { openNativeEngine } from '../../src/engine/native/native-engine.ts';
import { float, gaussian } from './engines.ts';

/** What a script of this folder prints, run in a process of its own. */
async function processOutput(script: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--import', 'tsx', path, ...args]);
  return stdout.trim();
}

let engine: Engine;
beforeAll(async () => {
  engine = await openNativeEngine();
});

const x = { x: { shape: [2, 2], dtype: 'float32' as const } };
const compile = (fn: ProgramDefinition['fn']) =>
  engine.compile({ name: 'traced', seed: 0, state: { s: float([2], [1, 2]) }, inputs: x, fn });

describe('compiling', () => {
  it.each([
    ['dataSync', (t: tf.Tensor) => t.dataSync()],
    ['arraySync', (t: tf.Tensor) => t.arraySync()],
    ['print', (t: tf.Tensor) => t.print()],
    ['a comparison by bufferSync', (t: tf.Tensor) => t.bufferSync()],
  ])('refuses to read a value by %s, and names the operation that will make it', async (_, read) => {
    const attempt = compile((_s, { x }) => {
      const exponential = tf.exp(x!);
      read(exponential);
      return { outputs: { y: exponential } };
    });
    await expect(attempt).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('value of Exp was read'),
      hint: expect.stringContaining('output'),
    });
  });

  it('refuses to read an input or a state tensor, by its name', async () => {
    const read = (name: 's' | 'x') =>
      compile(({ s }, { x }) => ({ outputs: { y: tf.scalar((name === 's' ? s! : x!).dataSync()[0]!) } }));
    await expect(read('x')).rejects.toMatchObject({ message: expect.stringContaining('input "x"') });
    await expect(read('s')).rejects.toMatchObject({ message: expect.stringContaining('state "s"') });
  });

  it('lets constants be read: they have values', async () => {
    const program = await compile((_s, { x }) => {
      const two = tf.scalar(2);
      const y = tf.mul(x!, two);
      return { outputs: { y: tf.add(y, two.dataSync()[0]!) } };
    });
    expect((await program.run({ x: Float32Array.of(1, 2, 3, 4) }, 0)).y).toEqual(float([2, 2], [4, 6, 8, 10]));
    program.dispose();
  });

  it('names an operation that tfjs has no native kernel for', async () => {
    const attempt = compile((_s, { x }) => ({
      outputs: { y: tf.image.rotateWithOffset(tf.reshape(x!, [1, 2, 2, 1]) as tf.Tensor4D, 0.1) },
    }));
    await expect(attempt).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('RotateWithOffset'),
    });
  });

  it('names an operation whose result has a shape that depends on values', async () => {
    const attempt = compile((_s, { x }) => {
      const { values } = tf.unique(tf.reshape(x!, [4]));
      return { outputs: { values } };
    });
    await expect(attempt).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/Unique.*depends on the values/),
    });
  });

  it('refuses a tensor that was kept from another program', async () => {
    let kept!: tf.Tensor;
    const first = await compile((_s, { x }) => {
      kept = tf.keep(tf.exp(x!));
      return { outputs: {} };
    });
    await expect(compile((_s, { x }) => ({ outputs: { y: tf.add(kept, x!) } }))).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/Exp.*another program/),
    });
    kept.dispose();
    first.dispose();
  });

  it('leaves tfjs as it found it: ops outside of programs run where they ran before', async () => {
    await tf.setBackend('cpu');
    (await compile((_s, { x }) => ({ outputs: { y: x! } }))).dispose();
    await expect(
      compile(() => {
        throw new Error('inside');
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining('inside') });
    expect(tf.getBackend()).toBe('cpu');
    expect(Array.from(tf.add(tf.scalar(1), 1).dataSync())).toEqual([2]);
  });

  it('tells the time and the size', async () => {
    const program = await compile((_s, { x }) => ({ outputs: { y: tf.exp(x!) } }));
    expect(program.compiled.seconds).toBeGreaterThan(0);
    expect(program.compiled.ops).toBeGreaterThan(5);
    program.dispose();
  });
});

describe('running', () => {
  it('names the operation that fails, and works on after it', async () => {
    const program = await engine.compile({
      name: 'lookup',
      seed: 0,
      state: { table: gaussian('table', [4, 2]) },
      inputs: { at: { shape: [1], dtype: 'int32' } },
      fn: ({ table }, { at }) => ({ outputs: { row: tf.gather(table!, at!) } }),
    });
    await expect(program.run({ at: Int32Array.of(4) }, 3)).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/"lookup", step 3.*indices.*4.*not in \[0, 4\)/s),
    });
    const { row } = await program.run({ at: Int32Array.of(3) }, 4);
    expect(row!.data).toEqual((await program.readState()).table!.data.slice(6));
    program.dispose();
  });

  it('leaves the main thread free: a timer keeps its beat', { timeout: 120_000 }, async () => {
    const n = 1024;
    const program = await engine.compile({
      name: 'heavy',
      seed: 0,
      state: { a: gaussian('a', [n, n]) },
      inputs: {},
      fn: ({ a }) => {
        let product = a!;
        for (let i = 0; i < 40; i++) product = tf.div(tf.matMul(product, a!), n ** 0.5);
        return { outputs: { mean: tf.mean(product) } };
      },
    });
    await program.run({}, 0);
    // The longest the main thread was held while runs were in progress, against the length of a run.
    const start = performance.now();
    let last = start;
    let longest = 0;
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    for (let i = 0; i < 3; i++) await program.run({}, i);
    clearInterval(timer);
    const run = (performance.now() - start) / 3;
    program.dispose();
    expect(run).toBeGreaterThan(200);
    expect(longest).toBeLessThan(run / 4);
  });

  it('gives the same bits in three processes', { timeout: 240_000 }, async () => {
    const digests: string[] = [];
    for (let i = 0; i < 3; i++) digests.push(await processOutput('digest-process.ts'));
    expect(digests[0]).toMatch(/^[0-9a-f]{64} [0-9a-f]{64}$/);
    expect(new Set(digests).size).toBe(1);
  });
});

describe('memory', () => {
  const measure = async (what: 'programs' | 'runs'): Promise<{ times: number; grown: number; tensors: number }> =>
    JSON.parse(await processOutput('memory-process.ts', what));

  it('stays flat over programs that are made and dropped, failed ones too', { timeout: 240_000 }, async () => {
    const { times, grown, tensors } = await measure('programs');
    expect(tensors).toBe(0);
    expect(grown / times).toBeLessThan(1); // MiB. The state alone of each is 2 MiB, its graph some more.
  });

  it('stays flat over a thousand runs', { timeout: 240_000 }, async () => {
    const { times, grown, tensors } = await measure('runs');
    expect(tensors).toBe(0);
    expect(grown / times).toBeLessThan(0.03); // MiB. An input, an output or a state tensor is 0.25.
  });
});
