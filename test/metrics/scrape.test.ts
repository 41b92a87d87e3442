import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/free-port.ts';
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts';
import { type MetricsServer, startMetricsServer } from '../../src/metrics/server.ts';
import { dashboardQueries, emptyQueries } from './dashboard-queries.ts';
import { findTool, type Prometheus, startPrometheus } from './prometheus.ts';
import { commitReport, evaluationReport, headroomReport, stepReport } from './reports.ts';

/** Four seconds of steps: a rollback is larger than what is done again until the next scrape. */
const COMMIT_EVERY = 40;
const missing = findTool('prometheus') === null;

/** A trainer as Prometheus sees it: it steps ten times a second and commits every COMMIT_EVERY steps. */
async function train(port: number, committed: { step: number; samples: number; generation: number }) {
  const metrics: Metrics = createMetrics({ run: 'digits', engine: { name: 'cpu', device: 'cpu', version: 'tfjs 4' } });
  metrics.restore({ ...committed, ageSeconds: null });
  const server: MetricsServer = await startMetricsServer({ registry: metrics.registry, port });
  let { step, generation } = committed;
  const timer = setInterval(() => {
    metrics.onStep(stepReport(++step));
    metrics.onEvaluation(evaluationReport(step));
    metrics.onRecords('decoded', 1);
    metrics.onLag('images', 0, 100 - (step % 100), 3);
    metrics.onLag('images', 1, 7, 1);
    metrics.onHeadroom(headroomReport());
    if (step % 20 === 0) metrics.onDeadLetter('checksum');
    if (step % COMMIT_EVERY === 0) metrics.onCommit(commitReport(step, ++generation));
  }, 100);
  return {
    committed: () => ({ step: step - (step % COMMIT_EVERY), samples: (step - (step % COMMIT_EVERY)) * 32, generation }),
    uncommitted: () => step % COMMIT_EVERY,
    async crash() {
      clearInterval(timer);
      await server.close();
    },
  };
}

describe.skipIf(missing)('a real Prometheus, scraping a trainer that crashes and resumes', () => {
  let prometheus: Prometheus;
  let trainer: Awaited<ReturnType<typeof train>>;
  let lost: number;

  beforeAll(async () => {
    const port = await freePort();
    trainer = await train(port, { step: 0, samples: 0, generation: 0 });
    prometheus = await startPrometheus(`127.0.0.1:${port}`);
    for (let scrape = 0; scrape < 5; scrape++) await prometheus.scraped();
    // It dies some steps after a commit, a scrape having seen them.
    do await prometheus.scraped();
    while (trainer.uncommitted() < COMMIT_EVERY / 2);
    lost = trainer.uncommitted();
    await trainer.crash();
    trainer = await train(port, trainer.committed());
    for (let scrape = 0; scrape < 5; scrape++) await prometheus.scraped();
  });
  afterAll(async () => {
    await trainer?.crash();
    await prometheus?.stop();
  });

  test('gets OpenMetrics, which it prefers', async () => {
    expect(await prometheus.query('repulsor_step_duration_seconds_bucket{le="5.0"}')).toHaveLength(1);
  });

  test('sees no reset of the committed work, so no rate and no increase counts a step twice', async () => {
    for (const name of ['repulsor_committed_steps_total', 'repulsor_committed_samples_total']) {
      expect(
        (await prometheus.query(`resets(${name}[5m])`)).map(({ value }) => value),
        name,
      ).toEqual([0]);
    }
    const [steps] = await prometheus.query('repulsor_committed_steps_total');
    expect(steps!.value % COMMIT_EVERY).toBe(0);
    expect(steps!.value).toBeGreaterThan(COMMIT_EVERY);
  });

  test('sees the restart in the work of the process, and the fall of the step to the last commit', async () => {
    expect(lost).toBeGreaterThanOrEqual(COMMIT_EVERY / 2);
    for (const name of ['repulsor_step_duration_seconds_count', 'repulsor_step']) {
      expect(
        (await prometheus.query(`resets(${name}[5m])`)).map(({ value }) => value),
        name,
      ).toEqual([1]);
    }
  });

  test('has data for every query of the dashboard', async () => {
    const queries = dashboardQueries('20s');
    expect(queries.length).toBeGreaterThan(30);
    expect(await emptyQueries(prometheus, queries)).toEqual([]);
  });

  test('lists the runs for the dashboard to choose from', async () => {
    expect(await prometheus.api('label/run/values?match[]=repulsor_run_info')).toEqual(['digits']);
  });

  test('evaluates every rule without error, and none fires but that on dead letters', async () => {
    const { groups } = (await prometheus.api('rules')) as {
      groups: { rules: { name: string; health: string; state: string }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(rules.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual(['RepulsorDeadLetters']);
  });
});
