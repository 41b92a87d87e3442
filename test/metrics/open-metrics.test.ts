import { Gauge, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { openMetrics, prefersOpenMetrics } from '../../src/metrics/open-metrics.ts';
import { commitReport, stepReport } from './reports.ts';

describe('OpenMetrics text', () => {
  test('drops _total from a counter family and keeps it on its samples, names the unit, and ends with EOF', async () => {
    const metrics = createMetrics({ run: 'a', engine: { name: 'cpu', device: 'cpu', version: 'x' } });
    metrics.onStep(stepReport(1, { waitSeconds: 0.5 }));
    metrics.onCommit(commitReport(1, 1));
    const text = await openMetrics(metrics.registry);
    expect(text).toContain(
      '# TYPE repulsor_data_wait_seconds counter\n' +
        '# UNIT repulsor_data_wait_seconds seconds\n' +
        '# HELP repulsor_data_wait_seconds Time that steps waited for their batch, in this process.\n' +
        'repulsor_data_wait_seconds_total{run="a"} 0.5\n',
    );
    expect(text).toMatch(/^repulsor_step_duration_seconds_bucket\{.*le="5.0".*\} 1$/m);
    expect(text).toMatch(/^repulsor_step_duration_seconds_bucket\{.*le="\+Inf".*\} 1$/m);
    expect(text.endsWith('\n# EOF\n')).toBe(true);
    expect(text).not.toMatch(/\n\n/);
  });

  test('leaves the registry as it was: plain text afterwards still has _total', async () => {
    const metrics = createMetrics({ run: 'a', engine: { name: 'cpu', device: 'cpu', version: 'x' } });
    metrics.onStep(stepReport(1));
    const before = await metrics.registry.getSingleMetricAsString('repulsor_data_wait_seconds_total');
    await openMetrics(metrics.registry);
    expect(await metrics.registry.getSingleMetricAsString('repulsor_data_wait_seconds_total')).toBe(before);
    expect(before).toContain('repulsor_data_wait_seconds_total{');
  });

  test('escapes labels and help, and writes what is not finite', async () => {
    const registry = new Registry();
    const gauge = new Gauge({ name: 'g', help: 'a "b" \\ c\nd', labelNames: ['l'], registers: [registry] });
    gauge.set({ l: 'x"y\\z\nw' }, Number.NaN);
    gauge.set({ l: 'plus' }, Number.POSITIVE_INFINITY);
    gauge.set({ l: 'minus' }, Number.NEGATIVE_INFINITY);
    expect(await openMetrics(registry)).toBe(
      String.raw`# TYPE g gauge
# HELP g a \"b\" \\ c\nd
g{l="x\"y\\z\nw"} NaN
g{l="plus"} +Inf
g{l="minus"} -Inf
# EOF
`,
    );
  });
});

describe('which format a scraper gets', () => {
  test.each([
    [undefined, false],
    ['*/*', false],
    ['text/html,application/xhtml+xml,*/*;q=0.8', false],
    ['text/plain;version=0.0.4', false],
    ['application/openmetrics-text', true],
    ['application/openmetrics-text;q=0', false],
    ['text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.4', false],
    // Prometheus 2.42 and 3.x
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      true,
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
      true,
    ],
  ])('Accept: %s', (accept, expected) => {
    expect(prefersOpenMetrics(accept)).toBe(expected);
  });
});
