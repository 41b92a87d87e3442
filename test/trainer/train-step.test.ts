import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine, openWasmEngine } from '../../src/engine/eager/eager-engine.ts';
import type { Engine, HostTensors, Program } from '../../src/engine/engine.ts';
import { initialParameters } from '../../src/model/parameters.ts';
import { nullClass } from '../../src/model/sit.ts';
import { normals, uniforms } from '../../src/random/philox.ts';
import { valueAndGradients } from '../../src/trainer/gradient.ts';
import { halfNames, inHalves, joinHalves } from '../../src/trainer/halves.ts';
import { definePipeline, type Pipeline, type PipelineInput } from '../../src/trainer/pipeline.ts';
import { hasSlowCopy, initialState, keyDim, trainLayout } from '../../src/trainer/train-state.ts';
import { reportNames, stepInputs, trainStep } from '../../src/trainer/train-step.ts';
import { type PlainState, plainTrainStep } from './plain-train-step.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openCpuEngine();
});

const B = 2;
const K = 3; // no multiple of B: it wraps at the second step

type Losses = NonNullable<PipelineInput['losses']>;
const repulsion = {
  lambda: 0.7,
  block: 1,
  queue: K,
  ramp: 0,
  keyMomentum: 0.9,
  projection: { dim: 3 },
} as const;

function tinyPipeline(losses: Losses, batch = B, transport: PipelineInput['transport'] = {}): Pipeline {
  return definePipeline({
    name: 'tiny',
    transport,
    source: { topic: 'none' },
    operators: { batch },
    model: { input: [2, 4, 1], patch: 2, width: 4, depth: 2, heads: 2, mlpRatio: 1, classes: 3, timeScale: 10 },
    losses: { labelDropout: 0.4, ...losses },
    // A large epsilon keeps Adam's quotient smooth where a gradient is almost zero, so that float32 can follow float64.
    optimizer: { epsilon: 1e-3, weightDecay: 0.01, clip: 1.5, ema: 0.9 },
  });
}

const KINDS: Record<string, Losses> = {
  'momentum keys': { repulsion },
  'current keys, centred': {
    repulsion: { ...repulsion, queue: 4, keyMomentum: null, projection: { dim: 3, centre: true } },
  },
  'no queue, dispersive': {
    repulsion: {
      ...repulsion,
      queue: 0,
      projection: { pool: 'flatten', head: 'identity', normalize: false },
      form: { tau: 1, perDimension: true, includeSelf: true },
    },
  },
  'a flattened head, each anchor its own log': {
    repulsion: { ...repulsion, projection: { pool: 'flatten', dim: 3 }, form: { reduction: 'per-anchor' } },
  },
  'two blocks, and a hinge': {
    repulsion: {
      ...repulsion,
      block: [1, 2],
      projection: { head: 'linear', dim: 3 },
      form: { kind: 'hinge', margin: 2 },
    },
  },
  'unnormalised covariances, pooled by the greatest': {
    repulsion: {
      ...repulsion,
      projection: { pool: 'max', head: 'mlp3', dim: 3, normalize: false },
      form: { kind: 'covariance' },
    },
  },
  'InfoNCE as MoCo has it, other classes only, and no rows of the day before': {
    repulsion: {
      ...repulsion,
      queue: 5,
      maxAge: 1,
      form: { kind: 'info-nce', reduction: 'per-anchor', tau: 0.3, batch: false, sameClass: false },
      view: { shift: 1, flip: true },
    },
  },
  'positives without a queue, of current keys at the same time': {
    repulsion: {
      ...repulsion,
      queue: 0,
      keyMomentum: null,
      form: { kind: 'info-nce' },
      view: { time: 'same' },
    },
  },
  'cosines of unnormalised vectors, current keys, other classes only': {
    repulsion: {
      ...repulsion,
      keyMomentum: null,
      projection: { dim: 3, normalize: false },
      form: { kind: 'cosine', sameClass: false },
    },
  },
  'no repulsion': { repulsion: null },
};

/** A state in which nothing is zero or equal: parameters away from their start, slow copy and EMA apart from them. */
function unsettled(pipeline: Pipeline): HostTensors {
  const away = (name: string, tensor: HostTensors[string], scale: number) => {
    const noise = normals(1, `away/${name}`, 0, tensor.data.length);
    return { ...tensor, data: Float32Array.from(tensor.data, (v, i) => v + scale * noise[i]!) };
  };
  const state = initialState(pipeline);
  const layout = trainLayout(pipeline);
  const settled = joinHalves(state, 'params');
  const params = away('all', settled, 0.3);
  for (const vector of ['params', 'ema', ...(hasSlowCopy(pipeline) ? ['slow'] : [])]) {
    const own = vector === 'params' ? params : away(vector, params, 0.05);
    Object.assign(state, inHalves(vector, own.data as Float32Array, layout));
  }
  return state;
}

const batchOf = (pipeline: Pipeline, step: number, queueWeight = 1, rate = 0.01) => ({
  images: uniforms(9, 'images', step, pipeline.operators.batch * 8).map((u) => 2 * u - 1),
  labels: Int32Array.from({ length: pipeline.operators.batch }, (_, i) => (i + step) % 3),
  step: Int32Array.of(step),
  learningRate: Float32Array.of(rate),
  queueWeight: Float32Array.of(queueWeight),
});

const flatData = (state: HostTensors, vector: string) => joinHalves(state, vector).data as Float32Array;

function compile(pipeline: Pipeline, state = unsettled(pipeline), seed = 5, on = engine, lanes = 1): Promise<Program> {
  return on.compile({ name: 'train', seed, state, inputs: stepInputs(pipeline), fn: trainStep(pipeline, lanes) });
}

const named = (pipeline: Pipeline, outputs: HostTensors): Record<string, number> =>
  Object.fromEntries(reportNames(pipeline).map((name, i) => [name, outputs['report']!.data[i]!]));

function close(got: ArrayLike<number>, expected: ArrayLike<number>, within: number, what: string): void {
  expect(got.length, what).toBe(expected.length);
  for (let i = 0; i < got.length; i++) {
    const scale = Math.max(1, Math.abs(expected[i]!));
    expect(Math.abs(got[i]! - expected[i]!) / scale, `${what}[${i}]: ${got[i]}, ${expected[i]}`).toBeLessThan(within);
  }
}

describe('a step', () => {
  it.each(Object.keys(KINDS))(
    'is the same in lanes, also where they share out the batch unevenly or outnumber it (%s)',
    async (kind) => {
      const pipeline = tinyPipeline(KINDS[kind]!, 5);
      const stepped = async (lanes: number): Promise<HostTensors> => {
        const program = await compile(pipeline, unsettled(pipeline), 5, engine, lanes);
        try {
          const first = await program.run(batchOf(pipeline, 1), 1);
          const second = await program.run(batchOf(pipeline, 2), 2);
          return { ...(await program.readState()), first: first['report']!, second: second['report']! };
        } finally {
          program.dispose();
        }
      };
      const whole = await stepped(1);
      for (const lanes of [2, 7]) {
        for (const [name, { data }] of Object.entries(await stepped(lanes))) close(data, whole[name]!.data, 1e-5, name);
      }
    },
  );

  it.each(Object.keys(KINDS))(
    'equals a plain float64 one, and so does the next, which meets its keys (%s)',
    async (kind) => {
      // Two centred vectors are opposite whatever they were: only three can move.
      const b = kind.includes('centred') ? 3 : B;
      const pipeline = tinyPipeline(KINDS[kind]!, b);
      const k = pipeline.losses.repulsion?.queue ?? 0;
      const layout = trainLayout(pipeline);
      const first = unsettled(pipeline);
      const program = await compile(pipeline, first);
      const numbers = (name: string) => [...flatData(first, name)];
      let plain: PlainState = {
        params: numbers('params'),
        m: numbers('adam.m'),
        v: numbers('adam.v'),
        ema: numbers('ema'),
        slow: hasSlowCopy(pipeline) ? numbers('slow') : [],
        queue: [],
      };
      const weights = k === 0 ? [1] : pipeline.losses.repulsion?.maxAge === 1 ? [1, 0.5, 0.7] : [1, 0.5];
      for (const [i, queueWeight] of weights.entries()) {
        const step = i + 1;
        const batch = batchOf(pipeline, step, queueWeight);
        const outputs = await program.run(batch, step);
        const expected = plainTrainStep(
          pipeline,
          layout,
          plain,
          { images: batch.images, labels: [...batch.labels], rate: 0.01, queueWeight },
          5,
          step,
        );
        plain = expected.state;

        const report = named(pipeline, outputs);
        expect(Object.keys(report).sort()).toEqual(Object.keys(expected.report).sort());
        for (const [name, value] of Object.entries(report)) close([value], [expected.report[name]!], 1e-4, name);
        const lambda = pipeline.losses.repulsion?.lambda ?? 0;
        expect(report['total']).toBeCloseTo(report['flow']! + lambda * (report['repulsion'] ?? 0), 5);

        const state = await program.readState();
        close(flatData(state, 'params'), plain.params, 1e-5, 'params');
        close(flatData(state, 'adam.m'), plain.m, 1e-5, 'adam.m');
        close(flatData(state, 'adam.v'), plain.v, 1e-5, 'adam.v');
        close(flatData(state, 'ema'), plain.ema, 1e-5, 'ema');
        if (hasSlowCopy(pipeline)) close(flatData(state, 'slow'), plain.slow, 1e-5, 'slow');
        if (expected.keys.length > 0) {
          close(outputs['keys']!.data, expected.keys.flat(), 1e-4, 'keys');
          const from = Math.max(0, step * b - k);
          for (let row = from; row < step * b; row++) {
            const slot = row % k;
            const held = plain.queue[row - from]!;
            const d = keyDim(pipeline);
            close(state['queue.rows']!.data.subarray(slot * d, slot * d + d), held.key, 1e-4, `row ${row}`);
            expect(state['queue.labels']!.data[slot]).toBe(held.label);
            expect(state['queue.steps']!.data[slot]).toBe(held.step);
          }
          expect(state['queue.valid']!.data[0]).toBe(plain.queue.length);
        } else expect(outputs['keys']).toBeUndefined();
      }
      program.dispose();
    },
  );

  const TRANSPORTS = [
    { path: 'linear', prediction: 'noise', weighting: 'likelihood' },
    { path: 'linear', prediction: 'score', weighting: 'none' },
    { path: 'gvp', prediction: 'velocity', weighting: 'none' },
    { path: 'gvp', prediction: 'score', weighting: 'velocity' },
    { path: 'vp', prediction: 'velocity', weighting: 'none' },
    { path: 'vp', prediction: 'noise', weighting: 'velocity' },
  ] as const;

  it.each(TRANSPORTS)('equals a plain float64 one, its path and its loss too: %j', async (transport) => {
    const pipeline = tinyPipeline({ repulsion: null }, B, transport);
    const layout = trainLayout(pipeline);
    const first = unsettled(pipeline);
    const program = await compile(pipeline, first);
    const numbers = (name: string) => [...flatData(first, name)];
    const [params, m, v, ema] = ['params', 'adam.m', 'adam.v', 'ema'].map(numbers) as [
      number[],
      number[],
      number[],
      number[],
    ];
    const batch = batchOf(pipeline, 1);
    const outputs = await program.run(batch, 1);
    const plain = plainTrainStep(
      pipeline,
      layout,
      { params, m, v, ema, slow: [], queue: [] },
      { images: batch.images, labels: [...batch.labels], rate: 0.01, queueWeight: 1 },
      5,
      1,
    );
    const report = named(pipeline, outputs);
    for (const [name, value] of Object.entries(report)) close([value], [plain.report[name]!], 3e-4, name);
    const state = await program.readState();
    close(flatData(state, 'params'), plain.state.params, 3e-5, 'params');
    close(flatData(state, 'adam.m'), plain.state.m, 3e-5, 'adam.m');
    program.dispose();
  });

  it('is pure: the same state, batch, seed and step give the same bits; another seed or step draws other noise', async () => {
    const pipeline = tinyPipeline(KINDS['momentum keys']!);
    const run = async (seed: number, step: number) => {
      const program = await compile(pipeline, unsettled(pipeline), seed);
      // The input `step` stays: only the random streams see the other one.
      const outputs = await program.run(batchOf(pipeline, 1), step);
      const all = { outputs, state: await program.readState() };
      program.dispose();
      return all;
    };
    const once = await run(5, 1);
    expect(await run(5, 1)).toEqual(once);
    const flow = (of: typeof once) => named(pipeline, of.outputs)['flow'];
    expect(flow(await run(5, 2))).not.toBe(flow(once));
    expect(flow(await run(6, 1))).not.toBe(flow(once));
  });

  it('sees its own keys only at the next step: another slow copy changes keys and queue, but not this loss', async () => {
    const pipeline = tinyPipeline(KINDS['momentum keys']!);
    const state = unsettled(pipeline);
    const halved = flatData(state, 'slow').map((v) => v * 0.5);
    const other = { ...state, ...inHalves('slow', halved, trainLayout(pipeline)) };
    const [a, b] = [await compile(pipeline, state), await compile(pipeline, other)];
    const step = (n: number) => Promise.all([a.run(batchOf(pipeline, n), n), b.run(batchOf(pipeline, n), n)]);
    const total = (outputs: HostTensors) => named(pipeline, outputs)['total'];

    const [firstA, firstB] = await step(1);
    expect(total(firstA)).toBe(total(firstB));
    expect(firstA['keys']!.data).not.toEqual(firstB['keys']!.data);
    const [afterA, afterB] = [await a.readState(), await b.readState()];
    for (const name of ['params', 'adam.m', 'adam.v', 'ema'].flatMap(halfNames))
      expect(afterA[name], name).toEqual(afterB[name]);
    expect(afterA['queue.rows']).not.toEqual(afterB['queue.rows']);
    const [secondA, secondB] = await step(2);
    expect(total(secondA)).not.toBe(total(secondB));
    a.dispose();
    b.dispose();
  });

  it('puts exactly its keys into the queue, and leaves all other rows as they were, bit for bit', async () => {
    const pipeline = tinyPipeline(KINDS['momentum keys']!);
    const program = await compile(pipeline);
    await program.run(batchOf(pipeline, 1), 1);
    const before = (await program.readState())['queue.rows']!.data.slice();
    const { keys } = await program.run(batchOf(pipeline, 2), 2);
    const after = (await program.readState())['queue.rows']!.data;
    // Slots 2 and 0 are new; slot 1 holds the last row of step 1.
    for (const [i, slot] of [2, 0].entries()) {
      expect(after.subarray(slot * 3, slot * 3 + 3)).toEqual(keys!.data.subarray(i * 3, i * 3 + 3));
    }
    expect(after.subarray(3, 6)).toEqual(before.subarray(3, 6));
    program.dispose();
  });

  it('at queue weight 0 equals a step without a queue, but for the keys that it stores', async () => {
    const [with_, without] = [tinyPipeline({ repulsion }), tinyPipeline({ repulsion: { ...repulsion, queue: 0 } })];
    const [a, b] = [await compile(with_), await compile(without)];
    for (const step of [1, 2, 3]) {
      const [x, y] = [await a.run(batchOf(with_, step, 0), step), await b.run(batchOf(without, step, 0), step)];
      close([named(with_, x)['total']!], [named(without, y)['total']!], 1e-6, `total of step ${step}`);
    }
    const [stateA, stateB] = [await a.readState(), await b.readState()];
    close(flatData(stateA, 'params'), flatData(stateB, 'params'), 1e-5, 'params');
    a.dispose();
    b.dispose();
  });

  it('lowers the flow loss over 10 steps on a fixed batch with fixed noise', async () => {
    for (const kind of ['momentum keys', 'no repulsion']) {
      const losses = KINDS[kind]!;
      const pipeline = tinyPipeline(losses);
      const program = await compile(pipeline, initialState(pipeline));
      const flows: number[] = [];
      for (let step = 1; step <= 10; step++) {
        const batch = { ...batchOf(pipeline, 1, 1, 0.02), step: Int32Array.of(step) };
        flows.push(named(pipeline, await program.run(batch, 1))['flow']!);
      }
      expect(flows[9]!).toBeLessThan(flows[0]! * 0.98);
      program.dispose();
    }
  });

  it('gives the same on wasm as on plain JavaScript, within float32', async () => {
    const pipeline = tinyPipeline(KINDS['momentum keys']!);
    const wasm = await openWasmEngine();
    const [a, b] = [await compile(pipeline), await compile(pipeline, unsettled(pipeline), 5, wasm)];
    for (const step of [1, 2, 3]) {
      const [x, y] = [await a.run(batchOf(pipeline, step), step), await b.run(batchOf(pipeline, step), step)];
      close(x['report']!.data, y['report']!.data, 1e-4, `report of step ${step}`);
    }
    const [stateA, stateB] = [await a.readState(), await b.readState()];
    for (const name of Object.keys(stateA)) close(stateA[name]!.data, stateB[name]!.data, 1e-4, name);
    a.dispose();
    b.dispose();
    await openCpuEngine();
  });

  it('leaves no tensor behind over 100 steps', async () => {
    const pipeline = tinyPipeline(KINDS['momentum keys']!);
    const before = tf.memory().numTensors;
    const program = await compile(pipeline);
    await program.run(batchOf(pipeline, 1), 1);
    const { numTensors, numBytes } = tf.memory();
    for (let step = 2; step <= 101; step++) await program.run(batchOf(pipeline, step), step);
    expect(tf.memory()).toMatchObject({ numTensors, numBytes });
    program.dispose();
    await program.readState().catch(() => {}); // after the queued disposal
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('label dropout', () => {
  const flowOf = async (labelDropout: number, labels: number[]): Promise<number> => {
    const pipeline = tinyPipeline({ repulsion: null, labelDropout });
    const program = await compile(pipeline);
    const outputs = await program.run({ ...batchOf(pipeline, 1), labels: Int32Array.from(labels) }, 4);
    program.dispose();
    return named(pipeline, outputs)['flow']!;
  };
  const none = nullClass(tinyPipeline({ repulsion: null }).model);

  it('at 1 drops every label, at 0 none', async () => {
    expect(await flowOf(1, [0, 1])).toBe(await flowOf(0, [none, none]));
    expect(await flowOf(0, [0, 1])).not.toBe(await flowOf(0, [none, none]));
  });

  it('drops those whose own draw is below the share', async () => {
    const draws = uniforms(5, 'label-dropout', 4, B);
    const between = (draws[0]! + draws[1]!) / 2;
    const kept = [0, 1].map((label, i) => (draws[i]! < between ? none : label));
    expect(kept.filter((label) => label === none).length).toBe(1);
    expect(await flowOf(between, [0, 1])).toBe(await flowOf(0, kept));
  });

  it('never touches the labels that the queue keeps', async () => {
    const pipeline = tinyPipeline({ repulsion, labelDropout: 1 });
    const program = await compile(pipeline);
    await program.run({ ...batchOf(pipeline, 1), labels: Int32Array.of(2, 1) }, 1);
    expect([...(await program.readState(['queue.labels']))['queue.labels']!.data]).toEqual([2, 1, 0]);
    program.dispose();
  });
});

describe('the state before the first step', () => {
  it('holds what the step needs and no more', () => {
    const always = ['adam.m', 'adam.v', 'ema', 'params'].flatMap(halfNames);
    const queue = ['queue.labels', 'queue.pointer', 'queue.rows', 'queue.steps', 'queue.valid'];
    const names = (kind: string) => Object.keys(initialState(tinyPipeline(KINDS[kind]!))).sort();
    expect(names('momentum keys')).toEqual([...always, ...queue, ...halfNames('slow')].sort());
    expect(names('current keys, centred')).toEqual([...always, ...queue].sort());
    expect(names('no queue, dispersive')).toEqual(always);
    expect(names('no repulsion')).toEqual(always);
  });

  it('has EMA and slow copy equal to the parameters, not sharing memory, and rows as wide as the keys', () => {
    for (const kind of ['momentum keys', 'a flattened head, each anchor its own log']) {
      const pipeline = tinyPipeline(KINDS[kind]!);
      const state = initialState(pipeline);
      const params = halfNames('params').map((name) => state[name]!.data);
      for (const copy of ['ema', 'slow'])
        for (const [i, name] of halfNames(copy).entries()) {
          expect(state[name]!.data).toEqual(params[i]);
          expect(state[name]!.data.buffer).not.toBe(params[i]!.buffer);
        }
      const layout = trainLayout(pipeline);
      expect(flatData(state, 'params')).toEqual(initialParameters(layout, pipeline.seed));
      expect(state['queue.rows']!.shape).toEqual([K, keyDim(pipeline)]);
    }
    const flat = tinyPipeline({ repulsion: { ...repulsion, projection: { pool: 'flatten', head: 'identity' } } });
    expect(keyDim(flat)).toBe(2 * 4); // two tokens of width 4
  });

  it('is the same in room that held something else', () => {
    const pipeline = tinyPipeline(KINDS['momentum keys']!);
    const used: Engine['room'] = (spec) => {
      const room = engine.room(spec);
      room.data.fill(7);
      return room;
    };
    expect(initialState(pipeline, used)).toEqual(initialState(pipeline));
  });
});

describe('valueAndGradients', () => {
  it('gives the value, the gradients and the by-products, and leaves nothing else behind', () => {
    const [x, y] = [tf.tensor1d([1, 2, 3]), tf.tensor1d([4, 5])];
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const { value, gradients, byProducts } = valueAndGradients(
        (v, w) => {
          const squares = tf.square(v);
          const sum = tf.add(tf.sum(squares), tf.sum(tf.mul(w, 3))) as tf.Scalar;
          return { value: sum, byProducts: { squares, same: squares } };
        },
        [x, y],
      );
      expect(value.arraySync()).toBe(14 + 27);
      expect(gradients.map((gradient) => gradient.arraySync())).toEqual([
        [2, 4, 6],
        [3, 3],
      ]);
      expect(byProducts['squares']!.arraySync()).toEqual([1, 4, 9]);
      expect(byProducts['same']!.arraySync()).toEqual([1, 4, 9]);
    });
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
    y.dispose();
  });
});
