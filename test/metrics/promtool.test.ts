import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { DEFINITIONS } from '../../src/metrics/definitions.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { startMetricsServer } from '../../src/metrics/server.ts';
import { WARNING_SIGNS } from '../../src/metrics/warning-signs.ts';
import { findTool, PROMETHEUS_FOLDER, promtool } from './prometheus.ts';
import { commitReport, headroomReport, stepReport } from './reports.ts';

const missing = findTool('promtool') === null;

describe.skipIf(missing)('promtool', () => {
  test('has nothing to object to a scrape of everything', async () => {
    const metrics = createMetrics({ run: 'digits', engine: { name: 'cpu', device: 'cpu', version: 'tfjs 4' } });
    metrics.restore({ step: 0, samples: 0, generation: 0, ageSeconds: null });
    metrics.onStep(stepReport(1));
    metrics.onCommit(commitReport(1, 1));
    metrics.onDeadLetter('checksum');
    metrics.onLag('images', 0, 5, 2);
    metrics.onHeadroom(headroomReport());
    const server = await startMetricsServer({ registry: metrics.registry, port: 0 });
    const body = await (await fetch(server.url)).text();
    await server.close();
    expect(await promtool(['check', 'metrics'], { stdin: body })).toEqual({ status: 0, output: '' });
  });

  test('does object where there is something: the check is a check', async () => {
    const { status, output } = await promtool(['check', 'metrics'], { stdin: '# TYPE steps counter\nsteps 1\n' });
    expect(status).not.toBe(0);
    expect(output).toContain('_total');
  });

  test('accepts the configuration and the rules it names', async () => {
    const { status, output } = await promtool(['check', 'config', 'prometheus.yml'], { cwd: PROMETHEUS_FOLDER });
    expect(output).toContain('rules found');
    expect(status).toBe(0);
  });

  test('finds each alert silent in health and firing in its case', async () => {
    const { status, output } = await promtool(['test', 'rules', 'rules.test.yml'], { cwd: PROMETHEUS_FOLDER });
    expect(output).toContain('SUCCESS');
    expect(status).toBe(0);
  });
});

interface RuleFile {
  readonly groups: { rules: { alert: string; expr: string }[] }[];
}

interface RuleTests {
  readonly tests: { alert_rule_test?: { alertname: string; exp_alerts?: unknown[] }[] }[];
}

describe('the rules', () => {
  const read = (name: string) => readFileSync(`${PROMETHEUS_FOLDER}/${name}`, 'utf8');
  const rules = (parse(read('rules.yml')) as RuleFile).groups.flatMap((group) => group.rules);

  test('have each a case in which they fire and one in which they do not', () => {
    const cases = (parse(read('rules.test.yml')) as RuleTests).tests.flatMap((one) => one.alert_rule_test ?? []);
    for (const { alert } of rules) {
      const own = cases.filter(({ alertname }) => alertname === alert);
      expect(
        own.some(({ exp_alerts }) => exp_alerts !== undefined),
        `${alert} firing`,
      ).toBe(true);
      expect(
        own.some(({ exp_alerts }) => exp_alerts === undefined),
        `${alert} silent`,
      ).toBe(true);
    }
  });

  test('ask for metrics that exist', () => {
    const defined: string[] = Object.values(DEFINITIONS).map(({ name }) => name);
    for (const { alert, expr } of rules) {
      for (const [name] of expr.matchAll(/repulsor_\w+/g)) {
        expect(defined, alert).toContain(name.replace(/_(count|sum|bucket)$/, ''));
      }
    }
  });

  test('draw the line where the progress display and the dashboard do', () => {
    const expression = (name: string) => rules.find(({ alert }) => alert === name)!.expr;
    expect(expression('RepulsorCollapse')).toBe(`repulsor_pair_distance < ${WARNING_SIGNS.collapse}`);
    expect(expression('RepulsorBatchFled')).toBe(`repulsor_queue_shift > ${WARNING_SIGNS.flight}`);
  });
});
