import { escapeHtml } from '../../src/html/escape.ts';
import { mean } from '../continual/results.ts';
import type { Outcome } from './outcome.ts';
import type { Measurement } from './results.ts';
import type { SetName } from './sets.ts';
import { overPlain, type StepTimes } from './step-times.ts';
import { PLAIN, titleOf } from './variants.ts';

/** Apart for eyes that tell no red from green; light and dark grounds alike. */
const [GREY, BLUE] = ['#7a8490', '#3b78d8'];
const SEEDS = ['#3b78d8', '#d9730d', '#1f9d8a', '#b04ac0', '#8a8f00', '#c8385a'];

const px = (value: number): string => value.toFixed(1);
const text = (x: number, y: number, what: string, anchor = 'start', colour = GREY): string =>
  `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}" fill="${colour}">${escapeHtml(what)}</text>`;
const rule = (x1: number, y1: number, x2: number, y2: number, colour = GREY, opacity = 0.3): string =>
  `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" stroke="${colour}" stroke-opacity="${opacity}"/>`;

function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  const head = `<title>${escapeHtml(title)}</title>${text(12, 16, title)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" role="img">${head}${parts.join('')}</svg>\n`;
}

/**
 * FID against steps, on a logarithmic scale: a panel for each variant with plain behind it in grey, the line through the means
 * over the seeds, about it the band from the least to the most. An SVG that needs nothing else.
 */
export function curvesPlot(measurements: readonly Measurement[], set: SetName): string {
  const ofSet = measurements.filter((one) => one.set === set);
  const names = [...new Set(ofSet.map(({ variant }) => variant))].filter((name) => name !== PLAIN);
  const [columns, panel, gap, top] = [3, { width: 190, height: 130 }, { x: 50, y: 44 }, 28];
  const lines = Math.ceil(names.length / columns);
  const [width, height] = [columns * (panel.width + gap.x) + 14, top + lines * (panel.height + gap.y) + 6];
  const fids = ofSet.map(({ fid }) => fid);
  const [low, high] = [Math.log10(Math.min(...fids)) - 0.03, Math.log10(Math.max(...fids)) + 0.03];
  const last = Math.max(...ofSet.map(({ step }) => step));
  const ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000].filter(
    (tick) => Math.log10(tick) >= low && Math.log10(tick) <= high,
  );
  const drawn = names.map((name, i) => {
    const [left, above] = [
      gap.x + (i % columns) * (panel.width + gap.x),
      top + 16 + Math.floor(i / columns) * (panel.height + gap.y),
    ];
    const x = (step: number) => left + (panel.width * step) / last;
    const y = (fid: number) => above + (panel.height * (high - Math.log10(fid))) / (high - low);
    const grid = ticks.map(
      (tick) => rule(left, y(tick), left + panel.width, y(tick)) + text(left - 5, y(tick) + 4, String(tick), 'end'),
    );
    const under = [0, last].map((step) => text(x(step), above + panel.height + 13, String(step), 'middle'));
    const curves = [PLAIN, name].map((variant) => band(ofSet, variant, variant === PLAIN ? GREY : BLUE, x, y));
    return [text(left, above - 5, titleOf(name), 'start', BLUE), ...grid, ...under, ...curves].join('');
  });
  return svg(width, height, `${set}: FID against steps (grey: plain; bands: least to most of the seeds)`, drawn);
}

function band(
  measurements: readonly Measurement[],
  variant: string,
  colour: string,
  x: (step: number) => number,
  y: (fid: number) => number,
): string {
  const steps = [...new Set(measurements.filter((one) => one.variant === variant).map(({ step }) => step))].sort(
    (a, b) => a - b,
  );
  const at = steps.map((step) => {
    const fids = measurements.filter((one) => one.variant === variant && one.step === step).map(({ fid }) => fid);
    return { step, mean: mean(fids), least: Math.min(...fids), most: Math.max(...fids) };
  });
  const points = (of: readonly (readonly [number, number])[]) =>
    of.map(([step, fid]) => `${px(x(step))},${px(y(fid))}`).join(' ');
  const outline = [
    ...at.map(({ step, most }) => [step, most] as const),
    ...at.toReversed().map(({ step, least }) => [step, least] as const),
  ];
  const dots = at.map((one) => `<circle cx="${px(x(one.step))}" cy="${px(y(one.mean))}" r="2.2" fill="${colour}"/>`);
  return `<polygon points="${points(outline)}" fill="${colour}" fill-opacity=".2"/><polyline points="${points(at.map((one) => [one.step, one.mean]))}" fill="none" stroke="${colour}" stroke-width="1.6"/>${dots.join('')}`;
}

/** FID at the end: a line a variant, a dot a seed, a bar at the mean, plain's mean dashed. */
export function endPlot(outcomes: readonly Outcome[], set: SetName): string {
  const all = outcomes.flatMap(({ fid }) => [...fid.values()]);
  const ticks = roundTicks(Math.min(...all), Math.max(...all));
  const [bottom, top] = [ticks[0]!, ticks.at(-1)!];
  const [left, right, above, line] = [190, 20, 34, 24];
  const width = 640;
  const height = above + outcomes.length * line + 30;
  const x = (fid: number) => left + ((width - left - right) * (fid - bottom)) / (top - bottom);
  const plain = outcomes.find(({ variant }) => variant === PLAIN);
  const at = plain && x(mean([...plain.fid.values()]));
  const rows = outcomes.map(({ variant, fid }, i) => {
    const y = above + (i + 0.5) * line;
    const centre = x(mean([...fid.values()]));
    const dots = [...fid].map(
      ([seed, value]) =>
        `<circle cx="${px(x(value))}" cy="${px(y)}" r="4" fill="${SEEDS[seed % SEEDS.length]}" fill-opacity=".8"><title>seed ${seed}: ${value.toFixed(1)}</title></circle>`,
    );
    return `${text(left - 10, y + 4, titleOf(variant), 'end')}${rule(left, y, width - right, y)}${rule(centre, y - 8, centre, y + 8, GREY, 1)}${dots.join('')}`;
  });
  const ends = ticks.map((tick) => text(x(tick), height - 8, String(tick), 'middle'));
  const dashed =
    at === undefined
      ? ''
      : `<line x1="${px(at)}" x2="${px(at)}" y1="${above}" y2="${height - 24}" stroke="${GREY}" stroke-dasharray="4 3"/>`;
  return svg(width, height, `${set}: FID at the end (a colour a seed; dashed: plain's mean)`, [
    dashed,
    ...rows,
    ...ends,
  ]);
}

/** Round numbers that enclose both, some five of them. */
function roundTicks(least: number, most: number): number[] {
  const span = most - least || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = ([1, 2, 5].find((times) => times * power >= span / 4) ?? 10) * power;
  const first = Math.floor(least / step);
  const count = Math.max(1, Math.ceil(most / step) - first);
  return Array.from({ length: count + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** What a step takes over one of plain: the median of the turns, and their range. */
export function stepTimePlot(times: StepTimes, set: SetName): string {
  const rows = Object.keys(times.sets[set] ?? {}).map((variant) => ({ variant, ...overPlain(times, set, variant)! }));
  const most = 1.05 * Math.max(...rows.map(({ max }) => max), 1);
  const [left, right, above, line, width] = [190, 50, 34, 22, 640];
  const height = above + rows.length * line + 10;
  const x = (ratio: number) => left + ((width - left - right) * ratio) / most;
  const bars = rows.map(({ variant, median, min, max }, i) => {
    const y = above + (i + 0.5) * line;
    return `${text(left - 10, y + 4, titleOf(variant), 'end')}<rect x="${left}" y="${px(y - 6)}" width="${px(x(median) - left)}" height="12" fill="${BLUE}" fill-opacity=".7"/>${rule(x(min), y, x(max), y, GREY, 1)}${text(x(Math.max(max, median)) + 6, y + 4, median.toFixed(2))}`;
  });
  return svg(width, height, `${set}: a step's time over one of plain`, bars);
}
