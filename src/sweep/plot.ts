import { escapeHtml } from '../html/escape.ts';
import type { Metric, PointResult, SweepResult } from './results.ts';
import { short } from './tables.ts';

const [WIDTH, HEIGHT] = [520, 250];
const ROOM = { left: 64, right: 16, top: 12, bottom: 34 };

/** Colours by series, apart for eyes that tell no red from green; light and dark grounds alike. */
const COLOURS = ['#3b78d8', '#d9730d', '#1f9d8a', '#b04ac0', '#8a8f00', '#c8385a'];

/** Points of one line: all that agree in every axis but the first. */
export interface Series {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly PointResult[];
}

export function seriesOf({ axes, points }: Pick<SweepResult, 'axes' | 'points'>): Series[] {
  const byName = new Map<string, PointResult[]>();
  for (const point of points) {
    const name = point.values
      .slice(1)
      .map((value, i) => `${axes[i + 1]!.path.split('.').at(-1)} ${value}`)
      .join(', ');
    byName.set(name, [...(byName.get(name) ?? []), point]);
  }
  return [...byName].map(([name, of], i) => ({ name, colour: COLOURS[i % COLOURS.length]!, points: of }));
}

/**
 * One metric over the values of the first axis, evenly spaced in their order: a dot for every run, where they are numbers a
 * line through the means, a bar of one standard deviation either way. An SVG that needs nothing else; null when no run has the metric.
 */
export function plot(result: Pick<SweepResult, 'axes' | 'points'>, metric: Metric): string | null {
  const numbers = result.points.flatMap(({ runs, metrics }) => {
    const { mean = 0, sd = 0 } = metrics[metric] ?? {};
    const own = runs.flatMap((run) => run.metrics[metric] ?? []).filter(Number.isFinite);
    return own.length === 0 ? [] : [...own, mean - (sd ?? 0), mean + (sd ?? 0)];
  });
  if (numbers.length === 0) return null;
  const { low, high, ticks } = scale(Math.min(...numbers), Math.max(...numbers));
  const columns = result.axes[0]?.values ?? [''];
  const x = (column: number) => ROOM.left + ((WIDTH - ROOM.left - ROOM.right) * (column + 0.5)) / columns.length;
  const y = (value: number) =>
    HEIGHT - ROOM.bottom - ((HEIGHT - ROOM.top - ROOM.bottom) * (value - low)) / (high - low);
  const px = (value: number) => value.toFixed(1);

  const grid = ticks.map(
    (tick) =>
      `<line class="guide" x1="${ROOM.left}" x2="${WIDTH - ROOM.right}" y1="${px(y(tick))}" y2="${px(y(tick))}"/><text x="${ROOM.left - 8}" y="${px(y(tick) + 4)}" text-anchor="end">${short(tick)}</text>`,
  );
  const names = columns.map(
    (value, i) =>
      `<text x="${px(x(i))}" y="${HEIGHT - ROOM.bottom + 20}" text-anchor="middle">${escapeHtml(value)}</text>`,
  );
  const all = seriesOf(result);
  const ordered = columns.every((value) => value.trim() !== '' && Number.isFinite(Number(value)));
  const drawn = all.map(({ name, colour, points }, s) => {
    const aside = (s - (all.length - 1) / 2) * Math.min(14, 60 / all.length);
    const at = ({ values }: PointResult) => x(Math.max(0, columns.indexOf(values[0] ?? ''))) + aside;
    const means = points.filter(({ metrics }) => metrics[metric] !== undefined);
    const line = means.map((point) => `${px(at(point))},${px(y(point.metrics[metric]!.mean))}`).join(' ');
    const bars = means.map((point) => {
      const { mean, sd } = point.metrics[metric]!;
      if (sd === null) return '';
      return `<line x1="${px(at(point))}" x2="${px(at(point))}" y1="${px(y(mean - sd))}" y2="${px(y(mean + sd))}" stroke="${colour}" stroke-width="2"/>`;
    });
    const dots = points.flatMap((point) =>
      point.runs.flatMap((run) => {
        const value = run.metrics[metric];
        if (typeof value !== 'number' || !Number.isFinite(value)) return [];
        return `<circle cx="${px(at(point))}" cy="${px(y(value))}" r="3.5" fill="${colour}" fill-opacity=".55"><title>${escapeHtml(`${name === '' ? '' : `${name}, `}seed ${run.seed}: ${short(value)}`)}</title></circle>`;
      }),
    );
    const drawnLine = ordered ? `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="1.5"/>` : '';
    return `${drawnLine}${bars.join('')}${dots.join('')}`;
  });
  return `<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(metric)}">${grid.join('')}${names.join('')}${drawn.join('')}</svg>`;
}

/** Round numbers that enclose all values, four or so of them. */
function scale(least: number, most: number): { low: number; high: number; ticks: number[] } {
  const span = most - least || Math.abs(most) || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((times) => times * power >= rough) ?? 10) * power;
  const low = Math.floor(least / step) * step;
  const high = Math.max(Math.ceil(most / step) * step, low + step);
  const count = Math.round((high - low) / step);
  return { low, high, ticks: Array.from({ length: count + 1 }, (_, i) => low + i * step) };
}
