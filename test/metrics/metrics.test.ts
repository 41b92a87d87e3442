import { type MetricObjectWithValues, type MetricValue, register } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { DEFINITIONS } from '../../src/metrics/definitions.ts';
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts';
import { commitReport, evaluationReport, headroomReport, stepReport } from './reports.ts';

const engine = { name: 'native', device: 'cpu', version: 'TensorFlow 2.21.0' } as const;
const fresh = (options: { now?: () => number } = {}) => createMetrics({ run: 'digits', engine, ...options });

type Family = MetricObjectWithValues<MetricValue<string>>;

async function series(metrics: Metrics, name: string) {
  const families = (await metrics.registry.getMetricsAsJSON()) as Family[];
  return families.find((family) => family.name === name)!.values;
}

/** The value of the one series of a metric. */
async function value(metrics: Metrics, name: string): Promise<number> {
  const found = await series(metrics, name);
  expect(found, name).toHaveLength(1);
  return found[0]!.value;
}

describe('the metrics', () => {
  test('are exactly those of the definitions, every one with prefix, help and the label run', async () => {
    const metrics = fresh();
    metrics.restore({ step: 0, samples: 0, generation: 0, ageSeconds: null });
    metrics.onStep(stepReport(1));
    metrics.onCommit(commitReport(1, 1));
    metrics.onRecords('decoded', 1);
    metrics.onDeadLetter('checksum');
    metrics.onLag('images', 0, 5, 2);
    metrics.onHeadroom(headroomReport());
    metrics.onEvaluation(evaluationReport(1));
    const families = (await metrics.registry.getMetricsAsJSON()) as Family[];
    expect(families.map(({ name }) => name)).toEqual(Object.values(DEFINITIONS).map(({ name }) => name));
    for (const { name, help, values } of families) {
      expect(name).toMatch(/^repulsor_[a-z_]+$/);
      expect(help.length).toBeGreaterThan(10);
      expect(values, `${name} has no series after a step, a commit and a record`).not.toHaveLength(0);
      for (const { labels } of values) expect(labels).toMatchObject({ run: 'digits' });
    }
  });

  test('say nothing about what has not happened: no step, no queue, no commit', async () => {
    const metrics = fresh();
    metrics.onStep(stepReport(1, { repulsion: null }));
    for (const name of ['repulsor_pair_distance', 'repulsor_queue_fill_rows', 'repulsor_committed_steps_total']) {
      expect(await series(metrics, name), name).toEqual([]);
    }
    for (const name of ['repulsor_step', 'repulsor_loss']) expect(await series(fresh(), name), name).toEqual([]);
  });

  test('of two runs in one process are apart', async () => {
    const [one, two] = [fresh(), fresh()];
    one.onStep(stepReport(7));
    expect(await value(one, 'repulsor_step')).toBe(7);
    expect(await series(two, 'repulsor_step')).toEqual([]);
    expect(register.getMetricsAsArray()).toEqual([]);
  });

  test('show each number of a step under its name', async () => {
    const metrics = fresh();
    metrics.onStep(stepReport(3, { stepSeconds: 0.06, waitSeconds: 0.02 }));
    const loss = await series(metrics, 'repulsor_loss');
    expect(Object.fromEntries(loss.map((one) => [one.labels['term'], one.value]))).toEqual(stepReport(3).terms);
    expect(await value(metrics, 'repulsor_gradient_norm')).toBe(0.8);
    expect(await value(metrics, 'repulsor_parameter_norm')).toBe(41.5);
    expect(await value(metrics, 'repulsor_learning_rate')).toBe(4e-3);
    expect(await value(metrics, 'repulsor_samples_per_second')).toBeCloseTo(32 / 0.08);
    expect(await value(metrics, 'repulsor_data_wait_ratio')).toBeCloseTo(0.25);
    const { queueFill, queueCapacity, ageMax, ageMean, blocks } = stepReport(3).repulsion!;
    const { drift, positiveDistance, shift, similarity, pairDistance, uniformity } = blocks[0]!;
    const shown = {
      repulsor_queue_fill_rows: queueFill,
      repulsor_queue_capacity_rows: queueCapacity,
      repulsor_queue_age_max_steps: ageMax,
      repulsor_queue_age_mean_steps: ageMean,
      repulsor_key_drift: drift,
      repulsor_positive_distance: positiveDistance,
      repulsor_queue_shift: shift,
      repulsor_queue_similarity: similarity,
      repulsor_pair_distance: pairDistance,
      repulsor_uniformity: uniformity,
    };
    for (const [name, expected] of Object.entries(shown)) expect(await value(metrics, name), name).toBe(expected);
  });

  test('add up over steps and commits what this process did', async () => {
    const metrics = fresh();
    for (let step = 1; step <= 4; step++) metrics.onStep(stepReport(step));
    metrics.onCommit(commitReport(2, 1));
    metrics.onCommit(commitReport(4, 2));
    metrics.onCommitFailure();
    expect(await value(metrics, 'repulsor_processed_samples_total')).toBe(128);
    expect(await value(metrics, 'repulsor_data_wait_seconds_total')).toBeCloseTo(0.04);
    expect(await value(metrics, 'repulsor_commit_stall_seconds_total')).toBeCloseTo(0.04);
    expect(await value(metrics, 'repulsor_commit_written_bytes_total')).toBe(76_000_000);
    expect(await value(metrics, 'repulsor_commit_failures_total')).toBe(1);
    const durations = await series(metrics, 'repulsor_step_duration_seconds');
    const at = (suffix: string, le?: number) =>
      durations.find((one) => 'metricName' in one && `${one.metricName}`.endsWith(suffix) && one.labels['le'] === le);
    expect(at('_count')!.value).toBe(4);
    expect(at('_sum')!.value).toBeCloseTo(0.2);
    expect([at('_bucket', 0.035)!.value, at('_bucket', 0.05)!.value]).toEqual([0, 4]);
  });

  test('tell the age of the last commit, from the start of the process where there is none', async () => {
    let now = 100;
    const metrics = fresh({ now: () => now });
    now = 130;
    expect(await value(metrics, 'repulsor_commit_age_seconds')).toBe(30);
    metrics.onCommit(commitReport(1, 1));
    now = 131.5;
    expect(await value(metrics, 'repulsor_commit_age_seconds')).toBe(1.5);
    metrics.onCommitFailure();
    expect(await value(metrics, 'repulsor_commit_age_seconds')).toBe(1.5);
  });

  test('tell the age of a commit made before a restart', async () => {
    const metrics = fresh({ now: () => 5 });
    metrics.restore({ step: 1, samples: 32, generation: 1, ageSeconds: 1000 });
    expect(await value(metrics, 'repulsor_commit_age_seconds')).toBe(1000);
    metrics.onCommit(commitReport(2, 2));
    expect(await value(metrics, 'repulsor_commit_age_seconds')).toBe(0);
  });

  test('show NaN and infinity as they are, and go on', async () => {
    const metrics = fresh();
    metrics.onStep(stepReport(1, { terms: { total: Number.NaN }, gradientNorm: Number.POSITIVE_INFINITY }));
    expect(await value(metrics, 'repulsor_loss')).toBeNaN();
    expect(await value(metrics, 'repulsor_gradient_norm')).toBe(Number.POSITIVE_INFINITY);
    metrics.onStep(stepReport(2));
    expect(await value(metrics, 'repulsor_step')).toBe(2);
  });
});

describe('after a crash', () => {
  test('no step and no sample is counted twice', async () => {
    const before = fresh();
    before.restore({ step: 0, samples: 0, generation: 0, ageSeconds: null });
    for (let step = 1; step <= 12; step++) before.onStep(stepReport(step));
    before.onCommit(commitReport(10, 1));

    const after = fresh();
    after.restore({ step: 10, samples: 320, generation: 1, ageSeconds: null });
    expect(await value(after, 'repulsor_step')).toBe(10);
    for (let step = 11; step <= 20; step++) {
      after.onStep(stepReport(step));
      // Steps 11 and 12 are done again, but not yet committed again.
      expect(await value(after, 'repulsor_committed_steps_total')).toBe(10);
    }
    after.onCommit(commitReport(20, 2));
    expect(await value(after, 'repulsor_committed_steps_total')).toBe(20);
    expect(await value(after, 'repulsor_committed_samples_total')).toBe(640);
    expect(await value(after, 'repulsor_commit_generation')).toBe(2);
    // The work done, the two lost steps included.
    const done = await Promise.all([before, after].map((one) => value(one, 'repulsor_processed_samples_total')));
    expect(done[0]! + done[1]!).toBe(22 * 32);
  });

  test('a commit that ends while later steps run counts only what it holds', async () => {
    const metrics = fresh();
    metrics.restore({ step: 0, samples: 0, generation: 0, ageSeconds: null });
    for (let step = 1; step <= 9; step++) metrics.onStep(stepReport(step));
    metrics.onCommit(commitReport(5, 1));
    expect(await value(metrics, 'repulsor_committed_steps_total')).toBe(5);
    expect(await value(metrics, 'repulsor_committed_samples_total')).toBe(160);
    expect(await value(metrics, 'repulsor_step')).toBe(9);
  });
});

describe('the number of series is bounded', () => {
  test('for partitions, and what is left out is counted', async () => {
    const metrics = fresh();
    for (let partition = 0; partition < 3000; partition++) metrics.onLag('images', partition, 1, null);
    metrics.onLag('images', 5, 42, 1);
    const lag = await series(metrics, 'repulsor_lag_records');
    expect(lag).toHaveLength(1024);
    expect(lag.find(({ labels }) => labels['partition'] === '5')!.value).toBe(42);
    expect(await series(metrics, 'repulsor_lag_seconds')).toHaveLength(1);
    expect(await value(metrics, 'repulsor_refused_updates_total')).toBe(3000 - 1024);
  });

  test('for loss terms and for reasons, whose rest counts as "other"', async () => {
    const metrics = fresh();
    for (let i = 0; i < 200; i++) {
      metrics.onStep(stepReport(i + 1, { terms: { [`term_${i}`]: i } }));
      metrics.onDeadLetter(`reason_${i}`);
    }
    metrics.onDeadLetter('a sentence, with "quotes" and /a/path');
    expect(await series(metrics, 'repulsor_loss')).toHaveLength(32);
    const reasons = await series(metrics, 'repulsor_dead_letters_total');
    expect(reasons).toHaveLength(33);
    expect(reasons.find(({ labels }) => labels['reason'] === 'other')!.value).toBe(200 - 32 + 1);
  });
});
