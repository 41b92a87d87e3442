import { readFileSync } from 'node:fs';
import { DASHBOARD_FILE } from '../../scripts/dashboard.ts';
import type { Prometheus } from './prometheus.ts';

export interface DashboardQuery {
  /** "panel: expression". */
  readonly name: string;
  readonly expression: string;
  readonly legend: string;
}

interface DashboardJson {
  readonly panels: { title: string; targets?: { expr: string; legendFormat: string }[] }[];
  readonly annotations: { list: { name: string; expr: string; titleFormat: string }[] };
}

/** Every query of the shipped dashboard, as Grafana sends it: the variables replaced, all runs chosen. */
export function dashboardQueries(rateInterval: string): DashboardQuery[] {
  const json: DashboardJson = JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8'));
  const replaced = (expression: string) =>
    expression.replaceAll('$__rate_interval', rateInterval).replaceAll('$run', '.+');
  const panels = json.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
  );
  const annotations = json.annotations.list.map(({ name, expr, titleFormat }) => ({
    title: name,
    expr,
    legendFormat: titleFormat,
  }));
  return [...panels, ...annotations].map(({ title, expr, legendFormat }) => ({
    name: `${title}: ${expr}`,
    expression: replaced(expr),
    legend: legendFormat,
  }));
}

/**
 * The queries that would leave a panel empty, with the reason: an error, no series, no finite number, or a legend that
 * names a label which the series do not have.
 */
export async function emptyQueries(prometheus: Prometheus, queries: readonly DashboardQuery[]): Promise<string[]> {
  const faults: string[] = [];
  for (const { name, expression, legend } of queries) {
    try {
      const series = await prometheus.query(expression);
      const labels = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]!);
      const missing = labels.filter((label) => series.some((one) => one.labels[label] === undefined));
      if (series.length === 0) faults.push(`${name}: no series`);
      else if (!series.some(({ value }) => Number.isFinite(value))) faults.push(`${name}: no finite number`);
      else if (missing.length > 0) faults.push(`${name}: no label ${missing.join(', ')}`);
    } catch (error) {
      faults.push(`${name}: ${(error as Error).message}`);
    }
  }
  return faults;
}
