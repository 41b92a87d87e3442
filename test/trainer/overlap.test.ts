import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import type { CommitReport, StepReport } from '../../src/trainer/report.ts';
import { train } from '../../src/trainer/trainer.ts';
import { openTinyGround, type TinyGround } from './tiny-ground.ts';
import { BATCH, imageRecord, tinyPipeline } from './tiny-run.ts';

let ground: TinyGround;
let engine: Engine;
let log: Log;
let run: string;
let names = 0;

beforeAll(async () => {
  ground = await openTinyGround();
  ({ engine, log } = ground);
});
beforeEach(() => {
  run = `run-${names++}`;
});
afterAll(() => ground.close());

/** Trains, and notes what happens in its order: `run 3`, `ran 3`, `told 3`, `hold` and `held`. */
async function watch(pipeline: Pipeline, onStep: (report: StepReport) => void = () => {}) {
  const events: string[] = [];
  const steps: StepReport[] = [];
  const commits: CommitReport[] = [];
  const compile: Engine['compile'] = async (definition) => {
    const program = await engine.compile(definition);
    return {
      compiled: program.compiled,
      run: async (inputs, step) => {
        events.push(`run ${step}`);
        const outputs = await program.run(inputs, step);
        events.push(`ran ${step}`);
        return outputs;
      },
      snapshot: async (wanted) => {
        if (wanted.length > 0) events.push('hold');
        const snapshot = await program.snapshot(wanted);
        if (wanted.length > 0) events.push('held');
        return snapshot;
      },
      readState: (wanted) => program.readState(wanted),
      writeState: (values) => program.writeState(values),
      dispose: () => program.dispose(),
    };
  };
  await train({
    pipeline,
    log,
    run,
    store: await openFolderStore(join(ground.folder, run)),
    engine: { ...engine, compile },
    signal: new AbortController().signal,
    observer: {
      onStep(report) {
        events.push(`told ${report.step}`);
        steps.push(report);
        onStep(report);
      },
      onCommit: (report) => void commits.push(report),
    },
  });
  return { events, steps, commits };
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** Wide enough that a step takes longer than its batch. */
const model = {
  input: [28, 28, 1],
  patch: 4,
  width: 64,
  depth: 2,
  heads: 2,
  classes: 10,
} as unknown as Pipeline['model'];

describe('where the source is faster than the steps', () => {
  test('a step is told while the next one runs, and no step waits', async () => {
    const { events, steps, commits } = await watch(tinyPipeline({ model, steps: 40, commit: { everySteps: 8 } }));
    const at = (event: string) => events.indexOf(event);
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    const beside = steps.filter(({ step }) => step < 40 && at(`run ${step + 1}`) < at(`told ${step}`));
    expect(beside.length).toBeGreaterThan(30);
    for (const { step } of beside) expect(at(`told ${step}`)).toBeLessThan(at(`ran ${step + 1}`));
    expect(median(steps.map(({ waitSeconds }) => waitSeconds))).toBeLessThan(
      median(steps.map(({ stepSeconds }) => stepSeconds)) / 10,
    );

    // A commit holds the state after its step and in front of the next; that one runs before anything else is done.
    const first = commits[0]!;
    expect(first.step).toBe(8);
    expect(at('hold')).toBeGreaterThan(at('ran 8'));
    expect(at('hold')).toBeLessThan(at('run 9'));
    expect(at('held')).toBeLessThan(at('ran 9'));
    for (const { stallSeconds, seconds } of commits) expect(stallSeconds).toBeLessThan(seconds);
  });
});

describe('where the source is slower than the steps', () => {
  test('the wait is measured, and a step is told before it', async () => {
    const topic = 'slow';
    const SECONDS = 0.3;
    const STEPS = 6;
    await log.createTopic(topic);
    const append = async (value: number) => {
      const images = Array.from({ length: BATCH }, () => new Uint8Array(784).fill(value));
      await log.append(topic, [{ value: imageRecord({ images, labels: null }) }]);
    };
    await append(0);
    const source = { topic, follow: true };
    const pipeline = tinyPipeline({ source, operators: { shuffle: 1 }, steps: STEPS, commit: { everySteps: 1000 } });
    const metrics = createMetrics({ run, engine });
    const ratios: number[] = [];
    const ratio = async () =>
      (await metrics.registry.getSingleMetric('repulsor_data_wait_ratio')!.get()).values[0]!.value;
    // The next image comes a while after a step was told: that long nothing could run.
    const { events, steps } = await watch(pipeline, async (report) => {
      metrics.onStep(report);
      ratios.push(await ratio());
      // The last step needs no image after it, and nothing waits for one that is still being appended.
      if (report.step === STEPS) return;
      await sleep(SECONDS * 1000);
      await append(report.step);
    });
    const waits = steps.slice(1).map(({ waitSeconds }) => waitSeconds);
    for (const wait of waits) expect(wait).toBeGreaterThan(SECONDS * 0.95);
    for (const { step } of steps.slice(0, -1))
      expect(events.indexOf(`told ${step}`)).toBeLessThan(events.indexOf(`run ${step + 1}`));
    for (const [i, { waitSeconds, stepSeconds }] of steps.entries())
      expect(ratios[i]).toBeCloseTo(waitSeconds / (waitSeconds + stepSeconds), 9);
    const total = (await metrics.registry.getSingleMetric('repulsor_data_wait_seconds_total')!.get()).values[0]!.value;
    expect(total).toBeCloseTo(
      steps.reduce((sum, { waitSeconds }) => sum + waitSeconds, 0),
      9,
    );
  });
});
