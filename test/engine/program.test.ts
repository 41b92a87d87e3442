import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Engine, Program, ProgramDefinition } from '../../src/engine/engine.ts';
import { float, int, OPEN } from './engines.ts';

/** What src/engine/engine.ts promises of a program, held by each engine. */
describe.each(['native', 'wasm', 'cpu'] as const)('a program on the %s engine', (name) => {
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
    expect(tf.memory().numTensors).toBe(tensors); // Whoever makes a tensor disposes it: nothing is left behind.
  });

  async function compile(definition: Partial<ProgramDefinition> & Pick<ProgramDefinition, 'fn'>): Promise<Program> {
    const program = await engine.compile({ name: 'test', seed: 0, state: {}, inputs: {}, ...definition });
    programs.push(program);
    return program;
  }

  const counter = (): Promise<Program> =>
    compile({
      name: 'counter',
      state: { total: float([2], [1, 2]), runs: int([], [0]), untouched: float([3], [7, 8, 9]) },
      inputs: { by: { shape: [2], dtype: 'float32' } },
      fn: ({ total, runs }, { by }) => ({
        state: { total: tf.add(total!, by!), runs: tf.add(runs!, tf.scalar(1, 'int32')) },
        outputs: { before: total! },
      }),
    });

  it('moves its state on from run to run, and outputs what it was before', async () => {
    const program = await counter();
    const by = Float32Array.of(1, 10);
    expect((await program.run({ by }, 0)).before).toEqual(float([2], [1, 2]));
    expect((await program.run({ by }, 1)).before).toEqual(float([2], [2, 12]));
    expect(await program.readState()).toEqual({
      total: float([2], [3, 22]),
      runs: int([], [2]),
      untouched: float([3], [7, 8, 9]),
    });
  });

  it('takes an input as bytes where it says what these are, and refuses what is made of them where it does not fit', async () => {
    const input = { shape: ['n', 2], dtype: 'float32' } as const;
    const halves = await compile({
      inputs: { x: { ...input, ofBytes: (bytes) => tf.div(tf.cast(bytes, 'float32'), 2) } },
      fn: (_, { x }) => ({ outputs: { x: x! } }),
    });
    const x = Uint8Array.of(0, 1, 254, 255);
    expect((await halves.run({ x }, 0)).x).toEqual(float([2, 2], [0, 0.5, 127, 127.5]));
    expect((await halves.run({ x: Float32Array.of(-1, 9) }, 1)).x).toEqual(float([1, 2], [-1, 9]));
    const plain = await compile({ inputs: { x: input }, fn: (_, { x }) => ({ outputs: { x: x! } }) });
    await expect(plain.run({ x }, 0)).rejects.toThrow(/input "x" is a Uint8Array, not a Float32Array/);
    for (const ofBytes of [(bytes: tf.Tensor) => bytes, (bytes: tf.Tensor) => tf.sum(tf.cast(bytes, 'float32'), 1)]) {
      const other = await compile({ inputs: { x: { ...input, ofBytes } }, fn: (_, { x }) => ({ outputs: { x: x! } }) });
      await expect(other.run({ x }, 0)).rejects.toThrow(
        /input "x" is float32 \[2, 2\], but its ofBytes made (int32|.*\[2\])/,
      );
    }
  });

  it('runs one after another what is asked for at once', async () => {
    const program = await counter();
    const runs = Array.from({ length: 20 }, (_, i) => program.run({ by: Float32Array.of(1, 0) }, i));
    const seen = (await Promise.all(runs)).map(({ before }) => before!.data[0]);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => 1 + i));
  });

  it('reads a part of the state, between the runs around it', async () => {
    const program = await counter();
    const by = Float32Array.of(1, 1);
    const [, state] = await Promise.all([program.run({ by }, 0), program.readState(['runs']), program.run({ by }, 1)]);
    expect(state).toEqual({ runs: int([], [1]) });
  });

  it('holds the state as it stood, whatever runs and is written after it, until it is released', async () => {
    const program = await counter();
    const by = Float32Array.of(1, 10);
    await program.run({ by }, 0);
    const [first, , second] = await Promise.all([
      program.snapshot(['total', 'untouched']),
      program.run({ by }, 1),
      program.snapshot(['total']),
    ]);
    for (let step = 2; step < 20; step++) await program.run({ by }, step);
    await program.writeState({ total: float([2], [0, 0]), untouched: float([3], [0, 0, 0]) });
    expect(first.tensors).toEqual({ total: float([2], [2, 12]), untouched: float([3], [7, 8, 9]) });
    expect(second.tensors).toEqual({ total: float([2], [3, 22]) });
    first.release();
    expect(second.tensors).toEqual({ total: float([2], [3, 22]) });
    second.release();
    second.release();
    const last = await program.snapshot(['runs']);
    program.dispose();
    await expect(program.snapshot(['runs'])).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(last.tensors).toEqual({ runs: int([], [20]) });
    last.release();
  });

  it('takes the room that it gave as it is, and room of another shape or part of one as any memory', async () => {
    const room = engine.room({ shape: [4], dtype: 'float32' });
    const misshapen = engine.room({ shape: [4], dtype: 'float32' });
    const whole = engine.room({ shape: [4], dtype: 'int32' });
    room.data.set([1, 2, 3, 4]);
    misshapen.data.set([5, 6, 7, 8]);
    whole.data.set([9, 10, 11, 12]);
    const program = await compile({
      state: {
        room,
        misshapen: { ...misshapen, shape: [2, 2] },
        part: { shape: [2], dtype: 'int32', data: whole.data.subarray(2) },
        empty: engine.room({ shape: [0], dtype: 'float32' }),
      },
      fn: (state) => ({ state: { room: tf.mul(state['room']!, 2) }, outputs: { room: state['room']! } }),
    });
    expect((await program.run({}, 0))['room']).toEqual(float([4], [1, 2, 3, 4]));
    expect(await program.readState()).toEqual({
      room: float([4], [2, 4, 6, 8]),
      misshapen: float([2, 2], [5, 6, 7, 8]),
      part: int([2], [11, 12]),
      empty: float([0], []),
    });
  });

  it('writes the state, all of it or a part, and goes on from there', async () => {
    const program = await counter();
    const by = Float32Array.of(1, 1);
    await program.run({ by }, 0);
    await program.writeState({ total: float([2], [100, 200]) });
    expect((await program.run({ by }, 1)).before).toEqual(float([2], [100, 200]));
    const saved = await program.readState();
    await program.run({ by }, 2);
    await program.writeState(saved);
    expect(await program.readState()).toEqual(saved);
    expect(saved).toMatchObject({ total: { data: Float32Array.of(101, 201) }, runs: { data: Int32Array.of(2) } });
  });

  it('gives copies: neither what it gave nor what it was given changes it later', async () => {
    const program = await counter();
    const given = float([2], [5, 5]);
    await program.writeState({ total: given });
    given.data.fill(0);
    const read = await program.readState(['total']);
    expect(read.total).toEqual(float([2], [5, 5]));
    read.total!.data.fill(0);
    const input = Float32Array.of(1, 1);
    const { before } = await program.run({ by: input }, 0);
    before!.data.fill(0);
    input.fill(0);
    expect((await program.readState(['total'])).total).toEqual(float([2], [6, 6]));
  });

  it('may exchange, repeat or return as they are its state and its inputs', async () => {
    const program = await compile({
      state: { a: float([1], [1]), b: float([1], [2]), c: float([1], [3]) },
      inputs: { x: { shape: [1], dtype: 'float32' } },
      fn: ({ a, b }, { x }) => {
        const sum = tf.add(a!, x!);
        return { state: { a: b!, b: a!, c: x! }, outputs: { x: x!, again: x!, sum, twice: sum, a: a! } };
      },
    });
    const one = float([1], [10]);
    const sum = float([1], [11]);
    const outputs = await program.run({ x: Float32Array.of(10) }, 0);
    expect(outputs).toEqual({ x: one, again: one, sum, twice: sum, a: float([1], [1]) });
    expect(await program.readState()).toEqual({ a: float([1], [2]), b: float([1], [1]), c: one });
    await program.run({ x: Float32Array.of(20) }, 1);
    expect(await program.readState()).toEqual({ a: float([1], [1]), b: float([1], [2]), c: float([1], [20]) });
  });

  it('keeps integers exact, and gives booleans as 0 and 1', async () => {
    const big = 2 ** 31 - 1;
    const program = await compile({
      inputs: { n: { shape: [2], dtype: 'int32' } },
      fn: (_, { n }) => ({ outputs: { n: n!, positive: tf.greater(n!, tf.scalar(0, 'int32')) } }),
    });
    expect(await program.run({ n: Int32Array.of(big, -big) }, 0)).toEqual({
      n: int([2], [big, -big]),
      positive: int([2], [1, 0]),
    });
  });

  it('takes empty tensors and scalars', async () => {
    const program = await compile({
      inputs: { none: { shape: [0, 3], dtype: 'float32' }, one: { shape: [], dtype: 'float32' } },
      fn: (_, { none, one }) => ({ outputs: { none: none!, one: tf.mul(one!, 2) } }),
    });
    expect(await program.run({ none: new Float32Array(), one: Float32Array.of(4) }, 0)).toEqual({
      none: float([0, 3], []),
      one: float([], [8]),
    });
  });

  it('may use constants that were made outside of its function, again and again', async () => {
    const constant = tf.tensor1d([1, 2, 3]);
    try {
      for (let i = 0; i < 2; i++) {
        const program = await compile({
          inputs: { x: { shape: [3], dtype: 'float32' } },
          fn: (_, { x }) => ({ outputs: { y: tf.add(x!, constant) } }),
        });
        expect((await program.run({ x: Float32Array.of(1, 1, 1) }, 0)).y).toEqual(float([3], [2, 3, 4]));
      }
    } finally {
      constant.dispose();
    }
  });

  it('is one of many: programs run at the same time and keep apart', async () => {
    const made = await Promise.all(Array.from({ length: 4 }, () => counter()));
    await Promise.all(
      made.flatMap((program, i) =>
        Array.from({ length: i + 1 }, (_, k) => program.run({ by: Float32Array.of(1, 1) }, k)),
      ),
    );
    const runs = await Promise.all(made.map(async (program) => (await program.readState(['runs'])).runs!.data[0]));
    expect(runs).toEqual([1, 2, 3, 4]);
  });

  it('finishes the run it is in when it is disposed, and refuses the next', async () => {
    const program = await counter();
    const by = Float32Array.of(1, 1);
    const last = program.run({ by }, 0);
    await Promise.resolve(); // The run has begun.
    program.dispose();
    program.dispose();
    expect((await last).before).toEqual(float([2], [1, 2]));
    await expect(program.run({ by }, 1)).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('disposed'),
    });
    await expect(program.readState()).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  });

  describe('refuses, by name,', () => {
    const refusal = (...parts: string[]) => ({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(new RegExp(parts.join('.*'))),
      hint: expect.stringMatching(/./),
    });

    it.each([
      ['a missing input', {}, ['counter', 'input "by"', 'missing']],
      ['an input too many', { by: new Float32Array(2), bye: new Float32Array(2) }, ['no input "bye"']],
      ['an input of the wrong size', { by: new Float32Array(3) }, ['input "by"', '3 elements', 'float32 \\[2\\]']],
      ['an input of the wrong type', { by: new Int32Array(2) }, ['input "by"', 'Int32Array', 'Float32Array']],
    ] as [string, Record<string, Float32Array | Int32Array>, string[]][])('%s', async (_, inputs, parts) => {
      const program = await counter();
      await expect(program.run(inputs, 0)).rejects.toMatchObject(refusal(...parts));
      await program.run({ by: new Float32Array(2) }, 0); // And works on.
    });

    it.each([-1, 0.5, Number.NaN, 2 ** 53])('step %d', async (step) => {
      await expect((await counter()).run({ by: new Float32Array(2) }, step)).rejects.toMatchObject(refusal('step'));
    });

    it('a state that it does not have, or of another shape or type', async () => {
      const program = await counter();
      await expect(program.readState(['totals'])).rejects.toMatchObject(refusal('no state "totals"'));
      await expect(program.snapshot(['totals'])).rejects.toMatchObject(refusal('no state "totals"'));
      await expect(program.writeState({ totals: float([2], [1, 2]) })).rejects.toMatchObject(
        refusal('no state "totals"'),
      );
      await expect(program.writeState({ total: float([3], [1, 2, 3]) })).rejects.toMatchObject(
        refusal('"total"', '\\[2\\]', '\\[3\\]'),
      );
      await expect(program.writeState({ total: int([2], [1, 2]) })).rejects.toMatchObject(refusal('"total"', 'int32'));
      await expect(program.writeState({ total: float([2], [1]) })).rejects.toMatchObject(
        refusal('"total"', '1 elements'),
      );
      expect((await program.readState(['total'])).total).toEqual(float([2], [1, 2]));
    });

    const state = { s: float([2], [1, 2]) };
    const run = async (fn: ProgramDefinition['fn']) => (await compile({ state, fn })).run({}, 0);

    it.each([
      [
        'a new state of another shape',
        () => ({ state: { s: tf.zeros([3]) }, outputs: {} }),
        ['state "s"', '\\[2\\]', '\\[3\\]'],
      ],
      ['a new state that was none', () => ({ state: { t: tf.zeros([2]) }, outputs: {} }), ['no state "t"']],
      ['an output that is no tensor of numbers', () => ({ outputs: { o: tf.tensor(['a']) } }), ['output "o"|string']],
      ['an error of the function', () => tf.zeros([2]).reshape([3]) as never, ['test', 'reshape|3']],
      [
        'shapes that do not fit',
        () => ({ outputs: { o: tf.matMul(tf.zeros([2, 3]), tf.zeros([2, 3])) } }),
        ['test', '[mM]at[mM]ul'],
      ],
    ] as [string, ProgramDefinition['fn'], string[]][])('%s', async (_, fn, parts) => {
      await expect(run(fn)).rejects.toMatchObject(refusal(...parts));
    });

    it.each([
      ['tf.randomNormal', () => tf.randomNormal([2])],
      ['tf.randomUniform', () => tf.randomUniform([2])],
      ['tf.dropout', () => tf.dropout(tf.ones([2]), 0.5)],
      ['Math.random', () => tf.scalar(Math.random())],
    ])('randomness that is not its own, of %s', async (_, draw) => {
      await expect(run(() => ({ outputs: { o: draw() } }))).rejects.toMatchObject(
        refusal('test.*test/engine/program.test.ts', 'Math.random'),
      );
      expect(Math.random()).toBeLessThan(1); // Outside of it all is as before.
    });

    it('an asynchronous function', async () => {
      const fn = (async () => ({ outputs: {} })) as unknown as ProgramDefinition['fn'];
      await expect(run(fn)).rejects.toMatchObject(refusal('asynchronous'));
    });

    it('a seed that is no whole number', async () => {
      await expect(compile({ seed: 0.5, fn: () => ({ outputs: {} }) })).rejects.toMatchObject(refusal('seed'));
    });
  });
});
