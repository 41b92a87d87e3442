import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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

/** The line of the call, as `test/engine/native-program.test.ts:12`. */
function here(): string {
  const [, line] = /native-program\.test\.ts:(\d+):/.exec(new Error().stack!.split('\n').slice(2).join('\n'))!;
  return `test/engine/native-program.test.ts:${line}`;
}
/** The line after it. */
const next = (place: string): string => place.replace(/\d+$/, (line) => `${Number(line) + 1}:`);

const x = { x: { shape: [2, 2], dtype: 'float32' as const } };
const compile = (fn: ProgramDefinition['fn']) =>
  engine.compile({ name: 'traced', seed: 0, state: { s: float([2], [1, 2]) }, inputs: x, fn });

describe('compiling', () => {
  it.each([
    ['dataSync', (t: tf.Tensor) => t.dataSync()],
    ['arraySync', (t: tf.Tensor) => t.arraySync()],
    ['print', (t: tf.Tensor) => t.print()],
    ['a comparison by bufferSync', (t: tf.Tensor) => t.bufferSync()],
    ['control flow on it', (t: tf.Tensor) => ((t as unknown as number) > 0 ? 1 : 2)],
    ['a template', (t: tf.Tensor) => `${t}`],
    ['data, which nobody awaits', (t: tf.Tensor) => void t.data()],
    ['an op that is asynchronous', (t: tf.Tensor) => void tf.whereAsync(tf.greater(t, 0))],
  ])('refuses to read a value by %s, and names the code that makes it and the code that reads it', async (_, read) => {
    let [made, called] = ['', ''];
    const attempt = compile((_s, { x }) => {
      made = here();
      const exponential = tf.exp(x!);
      called = here();
      read(exponential);
      return { outputs: { y: exponential } };
    });
    const { code, message, hint } = await attempt.catch((error) => error);
    expect(code).toBe('ENGINE_FAILED');
    expect(message).toMatch(
      /^program "traced", while it was compiled \(test\/engine\/native-program.test.ts:\d+:\d+\)/,
    );
    expect(message).toMatch(/the value of (Exp|Greater), made by .* was read/);
    expect(message).toContain(`made by ${/Greater/.test(message) ? '' : next(made)}`);
    expect(called).not.toBe('');
    expect(hint).toContain('output');
  });

  it('refuses a read that the function itself caught', async () => {
    const attempt = compile((_s, { x }) => {
      let scale = 1;
      try {
        scale = tf.max(x!).dataSync()[0]!;
      } catch {}
      return { outputs: { y: tf.mul(x!, scale) } };
    });
    await expect(attempt).rejects.toMatchObject({ message: expect.stringContaining('the value of Max') });
  });

  it('refuses a function that awaits a value, and leaves no rejection unheard', async () => {
    const fn = async (_s: object, { x }: Record<string, tf.Tensor>) => {
      const [first] = await tf.exp(x!).data();
      return { outputs: { y: tf.scalar(first!) } };
    };
    await expect(compile(fn as never)).rejects.toMatchObject({ message: expect.stringContaining('the value of Exp') });
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('names the code of the forward pass for what fails in its gradient', async () => {
    let made = '';
    const attempt = compile((_s, { x }) => {
      const square = tf.customGrad((t) => {
        const value = tf.square(t as tf.Tensor);
        return { value, gradFunc: (dy: tf.Tensor) => tf.matMul(dy as tf.Tensor2D, tf.ones([3, 3])) };
      });
      const loss = (t: tf.Tensor) => {
        made = here();
        const squared = square(t);
        return tf.sum(squared).asScalar();
      };
      return { outputs: { g: tf.grad(loss)(x!) } };
    });
    const { message } = await attempt.catch((error) => error);
    expect(message).toContain(`(the gradient of ${next(made)}`);
    expect(message).toContain('operation MatMul');
  });

  it.each([
    ['that it does not have', { name: 'colour', type: 1, value: 3 }, 'operation Exp has no attribute colour'],
    ['without a value', { name: 'T', type: 4, value: undefined }, 'attribute T cannot be undefined (type)'],
    ['that no graph can hold', { name: 'T', type: 2, value: [0.5] }, 'attribute T cannot be [0.5] (float)'],
  ])('names an attribute %s, and the code that asked for it', async (_, attribute, message) => {
    let asked = '';
    const attempt = compile((_s, { x }) => {
      const kernels = tf.backend() as unknown as { executeSingleOutput(...args: unknown[]): tf.Tensor };
      asked = here();
      return { outputs: { y: kernels.executeSingleOutput('Exp', [attribute], [x]) } };
    });
    const error = await attempt.catch((reason) => reason);
    expect(error.message).toContain(message);
    expect(error.message).toContain(`(${next(asked)}`);
  });

  it('keeps none of the values that a program was compiled with', async () => {
    const state = { s: float([2], [1, 2]) };
    const data = new WeakRef(state.s.data);
    const program = await engine.compile({
      name: 'traced',
      seed: 0,
      state,
      inputs: x,
      fn: ({ s }, { x }) => ({ outputs: { y: tf.add(x!, s!) } }),
    });
    (state as Record<string, unknown>)['s'] = null;
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      collect();
    }
    expect(data.deref()).toBeUndefined();
    program.dispose();
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
      message: expect.stringMatching(
        /"lookup", step 3 \(test\/engine\/native-program.test.ts:\d+.*indices.*4.*not in \[0, 4\)/s,
      ),
    });
    const { row } = await program.run({ at: Int32Array.of(3) }, 4);
    expect(row!.data).toEqual((await program.readState()).table!.data.slice(6));
    program.dispose();
  });

  it('leaves the main thread free while it runs', { timeout: 120_000 }, async () => {
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
    const start = performance.eventLoopUtilization();
    for (let i = 0; i < 3; i++) await program.run({}, i);
    const { active, idle } = performance.eventLoopUtilization(start); // Milliseconds.
    program.dispose();
    expect(idle + active).toBeGreaterThan(300);
    expect(active / (idle + active)).toBeLessThan(0.25);
  });

  // At once: on a machine of few cores they are each other's load. `npm run bench -- bits` does it on larger steps.
  it('gives the same bits in five new processes under load, in three of them in bfloat16 too', {
    timeout: 600_000,
  }, async () => {
    const asked = [['fp32', 'bf16'], ['fp32', 'bf16'], ['fp32', 'bf16'], ['fp32'], ['fp32']];
    const digests = await Promise.all(
      asked.map(
        async (args) => JSON.parse(await processOutput('digest-process.ts', ...args)) as Record<string, string>,
      ),
    );
    const distinct = (of: string) => [...new Set(digests.flatMap((digest) => digest[of] ?? []))];
    for (const of of ['fp32', 'bf16', 'large'])
      expect(distinct(of), of).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(distinct('bf16')).not.toEqual(distinct('fp32'));
  });
});

describe('memory', () => {
  it('holds no native object that nobody owns, and deletes none twice, whatever fails', {
    timeout: 240_000,
  }, async () => {
    const { made, alive } = JSON.parse(await processOutput('census-process.ts'));
    for (const [kind, count] of Object.entries(made)) expect(count, kind).toBeGreaterThan(5);
    expect(alive).toEqual({
      tensor: 0,
      graph: 0,
      session: 0,
      status: 0,
      buffer: 0,
      devices: 0,
      options: 0,
      description: 0,
    });
  });

  // The first of four windows warms up. One tensor left behind by each program, or each run, would be 12, or 300, MiB a window. The lower
  // of the last two: the allocator gives memory back when it likes, and one window alone may have 13 MiB more for it.
  it.each([
    ['200 engines and programs, made and dropped', 'programs', 200],
    ['5,000 runs', 'runs', 5000],
  ])('stays flat over %s', { timeout: 240_000 }, async (_, what, count) => {
    const { times, after, tensors } = JSON.parse(await processOutput('memory-process.ts', what));
    expect(times).toBe(count);
    expect(tensors).toBe(0);
    expect(Math.min(after[2], after[3]) - after[1]).toBeLessThan(8); // MiB
  });
});
