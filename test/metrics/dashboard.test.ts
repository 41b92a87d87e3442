import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DASHBOARD_FILE, dashboardJson } from '../../scripts/dashboard.ts';
import { DEFINITIONS } from '../../src/metrics/definitions.ts';
import { dashboardQueries } from './dashboard-queries.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { x: number; y: number; w: number; h: number };
  readonly targets?: { legendFormat: string; refId: string }[];
  readonly fieldConfig?: { defaults: { unit?: string } };
}
const { panels }: { panels: Panel[] } = JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8'));

describe('the dashboard', () => {
  test('is what its script writes (npm run dashboard)', () => {
    expect(readFileSync(DASHBOARD_FILE, 'utf8')).toBe(dashboardJson());
  });

  test('has a row for convergence, repulsion, features, the stream and the commits', () => {
    expect(panels.filter(({ type }) => type === 'row').map(({ title }) => title)).toEqual([
      'Convergence',
      'Repulsion',
      'Features',
      'Stream',
      'Commits',
    ]);
  });

  test('explains every panel, with a unit and a legend that names the run', () => {
    for (const { type, title, description, targets, fieldConfig } of panels) {
      if (type === 'row') continue;
      expect(description?.length, title).toBeGreaterThan(25);
      expect(fieldConfig?.defaults.unit, title).toBeDefined();
      expect(targets?.length, title).toBeGreaterThan(0);
      for (const { legendFormat } of targets ?? []) expect(legendFormat, title).toContain('{{run}}');
    }
  });

  test('lays its panels out without overlap', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x},${y}`), `${title} lies on it`).toBeUndefined();
          taken.set(`${x},${y}`, title);
        }
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  test('shows every metric there is, and asks for none that is not', () => {
    const queries = dashboardQueries('1m').map(({ expression }) => expression);
    const asked = new Set(queries.flatMap((expression) => expression.match(/repulsor_\w+/g) ?? []));
    const families = new Set([...asked].map((name) => name.replace(/_(bucket|sum|count)$/, '')));
    const shown = Object.values(DEFINITIONS).map(({ name }) => name as string);
    for (const name of families) expect(shown).toContain(name);
    // Two gauges of the last step are for those who read /metrics by eye: curves come from rates. The last tells of no run.
    const unshown = ['repulsor_samples_per_second', 'repulsor_data_wait_ratio', 'repulsor_refused_updates_total'];
    expect(shown.filter((name) => !families.has(name)).sort()).toEqual(unshown.sort());
  });
});
