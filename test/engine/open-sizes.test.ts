import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Engine, HostTensors, InputValue, Program, ProgramDefinition, Tensors } from '../../src/engine/engine.ts';
import { fused } from '../../src/engine/fused.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { difference, float, gaussian, int, OPEN, runOnce } from './engines.ts';

/** Programs whose inputs leave sizes open, on each engine. */
describe.each(['native', 'wasm', 'cpu'] as const)('on the %s engine', (name) => {
  let engine: Engine;
  let tensors: number;
  const programs: Program[] = [];

  beforeAll(async () => {
    engine = await OPEN[name]();
  });
  beforeEach(() => {
    tensors = tf.memory().numTensors;
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) program.dispose();
    await new Promise((resolve) => setImmediate(resolve));
    expect(tf.memory().numTensors).toBe(tensors);
  });

  async function compile(definition: Partial<ProgramDefinition> & Pick<ProgramDefinition, 'fn'>): Promise<Program> {
    const program = await engine.compile({ name: 'open', seed: 7, state: {}, inputs: {}, ...definition });
    programs.push(program);
    return program;
  }

  const w = gaussian('w', [4, 3]);
  const batches = { x: { shape: ['batch', 4], dtype: 'float32' }, by: { shape: ['batch'], dtype: 'int32' } } as const;
  const sums: ProgramDefinition['fn'] = ({ w, seen }, { x, by }, random) => {
    const loss = (w: tf.Tensor) => tf.mean(tf.tanh(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D))).asScalar();
    const noise = random.uniform('noise', [x!.shape[0]!]);
    return {
      state: { seen: tf.add(seen!, tf.scalar(x!.shape[0]!, 'int32')), w: tf.sub(w!, tf.grad(loss)(w!)) },
      outputs: { y: tf.mul(tf.sum(x!, 1), tf.add(tf.cast(by!, 'float32'), noise)) },
    };
  };
  const feed = (n: number, from = 0) => ({
    x: gaussian(`x${from}`, [n, 4]).data,
    by: Int32Array.from({ length: n }, (_, i) => i),
  });

  it('one program takes batches of any size, over one state, and gives what programs of these shapes give', async () => {
    const state = { w, seen: int([], [0]) };
    const open = await compile({ state, inputs: batches, fn: sums });
    let held: HostTensors = state;
    for (const [step, n] of [5, 2, 5, 1, 2, 9].entries()) {
      const inputs = {
        x: { shape: [n, 4], dtype: 'float32' },
        by: { shape: [n], dtype: 'int32' },
      } as const;
      const closed = await compile({ state: held, inputs, fn: sums });
      const [ours, theirs] = [await open.run(feed(n, step), step), await closed.run(feed(n, step), step)];
      expect(ours.y).toEqual(theirs.y);
      held = await closed.readState();
      expect(await open.readState()).toEqual(held);
    }
    expect(held['seen']!.data[0]).toBe(24);
  });

  it('the function is called once a shape where it is compiled, and the graph stays as it is when a shape comes again', async () => {
    const shapes: string[] = [];
    const program = await compile({
      inputs: { x: { shape: ['rows', 'columns'], dtype: 'float32' } },
      fn: (_, { x }) => {
        shapes.push(String(x!.shape));
        return { outputs: { y: tf.sum(x!, 0) } };
      },
    });
    const run = (rows: number, columns: number) => program.run({ x: gaussian('x', [rows, columns]) }, 0);
    await run(2, 3);
    await run(3, 2); // As many numbers.
    const { ops } = program.compiled;
    expect((await run(2, 3)).y!.shape).toEqual([3]);
    expect((await run(3, 2)).y!.shape).toEqual([2]);
    expect(program.compiled.ops).toBe(ops);
    const traced = ['2,3', '3,2'];
    expect(shapes).toEqual(name === 'native' ? traced : [...traced, ...traced]);
  });

  it('random numbers are those of the shape, the step and the purpose', async () => {
    const program = await compile({
      inputs: { x: { shape: ['n'], dtype: 'float32' } },
      fn: (_, { x }, random) => ({ outputs: { u: random.uniform('u', x!.shape), z: random.normal('z', x!.shape) } }),
    });
    for (const [n, step] of [
      [6, 1],
      [3, 1],
      [6, 2],
    ] as const) {
      const { u, z } = await program.run({ x: new Float32Array(n) }, step);
      expect(u!.data).toEqual(uniforms(7, 'u', step, n));
      expect(difference(z!, float([n], normals(7, 'z', step, n)))).toBeLessThan(1e-6);
    }
  });

  it('a state whose rows are overwritten keeps its old value where another shape hands it on', async () => {
    const rows = float([3, 2], [1, 2, 3, 4, 5, 6]);
    const program = await compile({
      state: { rows, kept: float([3, 2], new Float32Array(6)) },
      inputs: { x: { shape: ['n', 2], dtype: 'float32' } },
      fn: ({ rows }, { x }) => ({
        state: (x!.shape[0] === 1
          ? { rows: tf.tensorScatterUpdate(rows!, tf.tensor2d([[0]], [1, 1], 'int32'), x!) }
          : { kept: rows! }) as Tensors,
        outputs: {},
      }),
    });
    await program.run({ x: new Float32Array(2) }, 0);
    await program.run({ x: new Float32Array(4) }, 1);
    await program.run({ x: Float32Array.of(9, 9) }, 2);
    expect((await program.readState()).kept).toEqual(float([3, 2], [0, 0, 3, 4, 5, 6]));
    expect((await program.readState()).rows).toEqual(float([3, 2], [9, 9, 3, 4, 5, 6]));
  });

  it('no rows at all are a batch too', async () => {
    const program = await compile({ state: { w, seen: int([], [0]) }, inputs: batches, fn: sums });
    const { y } = await program.run({ x: new Float32Array(), by: new Int32Array() }, 0);
    expect(y).toEqual(float([0], []));
  });

  it('runs one after another what is asked for at once, also where the shapes are new', async () => {
    const program = await compile({
      state: { seen: int([], [0]) },
      inputs: { x: { shape: ['n'], dtype: 'float32' } },
      fn: ({ seen }, { x }) => ({
        state: { seen: tf.add(seen!, tf.scalar(x!.size, 'int32')) },
        outputs: { seen: seen!, sum: tf.sum(x!) },
      }),
    });
    const sizes = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];
    const all = await Promise.all(sizes.map((n, i) => program.run({ x: new Float32Array(n).fill(1) }, i)));
    expect(all.map(({ seen }) => seen!.data[0])).toEqual(
      sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0)),
    );
    expect(all.map(({ sum }) => sum!.data[0])).toEqual(sizes);
  });

  describe('names what it refuses', () => {
    const fn: ProgramDefinition['fn'] = (_, { a, b }) => ({ outputs: { y: tf.add(tf.sum(a!), tf.sum(b!)) } });
    const inputs = {
      a: { shape: ['n', 3], dtype: 'float32' },
      b: { shape: ['n', 'm'], dtype: 'float32' },
    } as const;
    const numbers = (n: number) => new Float32Array(n);

    it.each([
      ['half a row', { a: numbers(4), b: numbers(4) }, /input "a" of 4 numbers.*float32 \[n, 3\]/],
      ['sizes of one name that differ', { a: numbers(6), b: float([3, 1], [1, 2, 3]) }, /input "a" has 6.*\[3, 3\]/],
      ['numbers that the size found elsewhere does not divide', { a: numbers(6), b: numbers(5) }, /input "b" of 5/],
      ['what is missing', { b: numbers(4) }, /input "a" is missing.*\[n, 3\]/],
      ['another rank', { a: numbers(6), b: float([2, 1, 1], [1, 2]) }, /input "b".*\[2, 1, 1\]/],
      ['another type', { a: numbers(6), b: int([2, 1], [1, 2]) }, /input "b".*int32 \[2, 1\]/],
      ['fewer numbers than the shape has', { a: numbers(6), b: { ...float([2, 2], [1]) } }, /input "b" has 1 elements/],
      ['an input that there is not', { a: numbers(6), b: numbers(4), c: numbers(1) }, /no input "c"/],
    ] as [string, Record<string, InputValue>, RegExp][])('%s', async (_, given, message) => {
      const program = await compile({ inputs, fn });
      await expect(program.run(given, 0)).rejects.toMatchObject({
        code: 'ENGINE_FAILED',
        message: expect.stringMatching(message),
      });
      expect((await program.run({ a: numbers(6), b: numbers(8).fill(1) }, 0)).y!.data[0]).toBe(8);
    });

    it('two open sizes of one input that says no shape, and nothing else tells either', async () => {
      const program = await compile({
        inputs: { x: { shape: ['h', 'w'], dtype: 'float32' } },
        fn: (_, { x }) => ({ outputs: { x: x! } }),
      });
      await expect(program.run({ x: numbers(6) }, 0)).rejects.toMatchObject({
        message: expect.stringContaining('input "x" of 6 numbers has no shape'),
        hint: expect.stringContaining('{ shape, dtype, data }'),
      });
    });

    it('the code that a shape does not fit, and goes on with shapes that do', async () => {
      const program = await compile({
        inputs: { x: { shape: ['n'], dtype: 'float32' } },
        fn: (_, { x }) => ({ outputs: { y: tf.reshape(x!, [2, -1]) } }),
      });
      await expect(program.run({ x: numbers(3) }, 0)).rejects.toMatchObject({
        code: 'ENGINE_FAILED',
        message: expect.stringMatching(/test\/engine\/open-sizes\.test\.ts:\d+/),
      });
      expect((await program.run({ x: numbers(4) }, 0)).y!.shape).toEqual([2, 2]);
    });
  });
});

describe('compiled', () => {
  it('functions that are one loop are compiled for each shape', async () => {
    const engine = await OPEN.native();
    const program = await engine.compile({
      name: 'open',
      seed: 0,
      state: {},
      inputs: { x: { shape: ['n', 256], dtype: 'float32' } },
      fn: (_, { x }) => ({
        outputs: { y: fused('gate', [x!], (v) => [tf.mul(tf.sigmoid(v!), v!)])[0]! },
      }),
    });
    for (const n of [200, 300, 200, 1]) {
      const x = gaussian('x', [n, 256]);
      const { y } = await program.run({ x: x.data }, 0);
      const plain = await runOnce(await OPEN.cpu(), { x }, (i) => ({ y: tf.mul(tf.sigmoid(i.x!), i.x!) }));
      expect(difference(y!, plain.y!)).toBeLessThan(1e-5);
    }
    program.dispose();
  });

  it('shapes that could not be traced say for which shape, and leave nothing that a later run would meet', async () => {
    const engine = await OPEN.native();
    const program = await engine.compile({
      name: 'picky',
      seed: 0,
      state: { s: float([2], [1, 2]) },
      inputs: { x: { shape: ['n'], dtype: 'float32' } },
      fn: ({ s }, { x }) => {
        const y = tf.mul(s!, 2);
        if (x!.size === 3) y.dataSync();
        return { state: { s: y }, outputs: { y } };
      },
    });
    await expect(program.run({ x: new Float32Array(3) }, 4)).rejects.toMatchObject({
      message: expect.stringMatching(
        /"picky", while it was compiled for x \[3\] \(test\/engine.*value of Mul.*was read/,
      ),
    });
    expect((await program.run({ x: new Float32Array(2) }, 5)).y).toEqual(float([2], [2, 4]));
    expect((await program.readState()).s).toEqual(float([2], [2, 4]));
    program.dispose();
  });
});
