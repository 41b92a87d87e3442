import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/free-port.ts';
import { dashboardQueries, emptyQueries } from './dashboard-queries.ts';
import { findTool, type Prometheus, startPrometheus } from './prometheus.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const missing = findTool('prometheus') === null;

/** The digits with a small model, quick commits and no end. */
function startTraining(folder: string, port: number) {
  const settings = [
    'model.width=32',
    'model.depth=2',
    'operators.shuffle=1000',
    'commit.everySteps=50',
    'sampling.perLabel=0',
    'evaluation.everySteps=50',
    'evaluation.images=64',
  ];
  const child = spawn(
    process.execPath,
    [
      join(ROOT, 'bin/repulsor.js'),
      ...['train', join(ROOT, 'pipelines/digits.ts'), '--steps', '1000000', '--seed', '1', '--threads', '1'],
      ...['--run', join(folder, 'run'), '--log', `file:${join(folder, 'log')}`, '--metrics-port', String(port)],
      ...settings.flatMap((setting) => ['--set', setting]),
    ],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-10_000);
  });
  return { child, said: () => said, ended: new Promise<number | null>((resolve) => child.once('close', resolve)) };
}

describe.skipIf(missing)('a real run, killed and started again under the eyes of a real Prometheus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'repulsor-run-'));
  const children: ChildProcess[] = [];
  let prometheus: Prometheus;
  let training: ReturnType<typeof startTraining>;

  /** Waits until an expression has a value that satisfies; fails with the trainer's words when it dies before. */
  async function until(expression: string, satisfies: (value: number) => boolean): Promise<number> {
    const deadline = performance.now() + 90_000;
    for (;;) {
      const [series] = await prometheus.query(expression);
      if (series !== undefined && satisfies(series.value)) return series.value;
      if (training.child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${expression} is ${series?.value}. The trainer said:\n${training.said()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  beforeAll(async () => {
    const port = await freePort();
    prometheus = await startPrometheus(`127.0.0.1:${port}`);
    training = startTraining(folder, port);
    children.push(training.child);
    await until('repulsor_committed_steps_total', (steps) => steps >= 100);
    await until('repulsor_step - repulsor_committed_steps_total', (steps) => steps >= 10);
    training.child.kill('SIGKILL');
    await training.ended;
    training = startTraining(folder, port);
    children.push(training.child);
    await until('resets(repulsor_step_duration_seconds_count[5m])', (resets) => resets === 1);
    await until('repulsor_committed_steps_total', (steps) => steps >= 300);
  }, 240_000);

  afterAll(async () => {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    await training?.ended;
    await prometheus?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('counts no committed step and no committed image twice', async () => {
    for (const name of ['repulsor_committed_steps_total', 'repulsor_committed_samples_total']) {
      expect(
        (await prometheus.query(`resets(${name}[10m])`)).map(({ value }) => value),
        name,
      ).toEqual([0]);
    }
    const perStep = await prometheus.query('repulsor_committed_samples_total / repulsor_committed_steps_total');
    expect(perStep.map(({ value }) => value)).toEqual([32]);
  });

  test('fills every panel of the dashboard but those on dead letters, limits and positives, of which it has none', async () => {
    const left = (unit: string) => `min by (run, topic, need) (repulsor_retention_headroom_${unit}{run=~"$run"})`;
    const expected = [
      'Drift of the keys: repulsor_positive_distance{run=~"$run"}: no series',
      `Retention headroom in time: ${left('seconds')}: no series`,
      `Retention headroom in bytes: ${left('bytes')}: no series`,
      'Dead letters by reason: repulsor_dead_letters_total{run=~"$run"}: no series',
    ];
    await expect
      .poll(() => emptyQueries(prometheus, dashboardQueries('60s')), { timeout: 30_000, interval: 1000 })
      .toEqual(expected);
  });

  test('raises no alert', async () => {
    const { alerts } = (await prometheus.api('alerts')) as {
      alerts: { labels: { alertname: string }; state: string }[];
    };
    expect(alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)).toEqual([]);
  });

  test('is one run to the dashboard, whoever trains it', async () => {
    expect(await prometheus.api('label/run/values?match[]=repulsor_run_info')).toHaveLength(1);
  });

  test('ends with a commit of all its steps when it is asked to', async () => {
    training.child.kill('SIGINT');
    expect(await training.ended, training.said()).toBe(130);
    expect(training.said()).toMatch(/committed step [\d,]+ \(generation \d+\)/);
  });
});
