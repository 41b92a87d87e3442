import type { BlockReport, CommitReport, RepulsionReport, StepReport } from '../trainer/report.ts';
import { hasCollapsed, hasFled } from './warning-signs.ts';

/** All that the display shows, as plain data: the two functions below are pure. */
export interface ProgressView {
  /** Steps to do in all; null when the run has no end. */
  readonly total: number | null;
  readonly report: StepReport;
  /** Over the last half minute, everything included; null while there is nothing to measure. */
  readonly samplesPerSecond: number | null;
  readonly stepsPerSecond: number | null;
  /** Seconds since the last step ended. */
  readonly sinceStep: number;
  /** Null before the first commit of this process; absent where nothing is to be committed. */
  readonly commit?: { readonly report: CommitReport; readonly secondsAgo: number } | null;
}

/** The status block of a terminal: lines of fewer than `columns` characters. What does not fit goes on another line. */
export function formatBlock(view: ProgressView, columns: number): string[] {
  const width = Math.max(columns, 2) - 1; // a character in the last column makes some terminals wrap
  const { report } = view;
  return [
    ...wrap(withBar(headFields(view), fractionDone(view), width), width),
    ...wrap(lossFields(report), width),
    ...wrap([...speedFields(view), ...gradientFields(report)], width),
    ...(report.repulsion === null ? [] : wrap(repulsionFields(report.repulsion), width)),
    ...wrap(commitFields(view), width),
  ];
}

/** The same in one line, for logs. */
export function formatLine(view: ProgressView): string {
  const { report } = view;
  return [
    ...headFields(view),
    ...lossFields(report),
    ...speedFields(view),
    ...gradientFields(report),
    ...(report.repulsion === null ? [] : repulsionFields(report.repulsion)),
    ...commitFields(view),
  ].join('  ');
}

function headFields(view: ProgressView): string[] {
  const { total, report, stepsPerSecond } = view;
  if (total === null) return [`step ${count(report.step)}`];
  const left = stepsPerSecond !== null && stepsPerSecond > 0 ? (total - report.step) / stepsPerSecond : null;
  return [
    `step ${count(report.step)}/${count(total)}`,
    `${Math.floor(fractionDone(view)! * 100)}%`,
    ...(left === null || left <= 0 ? [] : [`${duration(left)} left`]),
  ];
}

function lossFields({ terms }: StepReport): string[] {
  const { total, ...others } = terms;
  return [
    ...(total === undefined ? [] : [`loss ${number(total)}`]),
    ...Object.entries(others).map(([term, value]) => `${term} ${number(value)}`),
  ];
}

function speedFields({ report, samplesPerSecond, sinceStep }: ProgressView): string[] {
  const { stepSeconds, waitSeconds } = report;
  const wait = waitSeconds / (stepSeconds + waitSeconds);
  // A step may take long; silence is worth a word when it is long by the step's own measure too.
  const silent = sinceStep > 5 && sinceStep > 5 * (stepSeconds + waitSeconds);
  return [
    ...(samplesPerSecond === null ? [] : [`${number(samplesPerSecond, 3)} img/s`]),
    `step ${duration(stepSeconds)}`,
    ...(wait >= 0.01 ? [`waiting for data ${Math.round(wait * 100)}%`] : []),
    ...(silent ? [`no step for ${duration(sinceStep)}`] : []),
  ];
}

function gradientFields({ gradientNorm, learningRate }: StepReport): string[] {
  return [`gradient ${number(gradientNorm, 3)}`, `lr ${number(learningRate, 3)}`];
}

/** Of several blocks the worst in each respect, which a warning names. */
function repulsionFields(repulsion: RepulsionReport): string[] {
  const { queueFill, queueCapacity, ageMax, pairDistance, uniformity, shift, blocks } = repulsion;
  const fill =
    queueFill === queueCapacity
      ? `queue full (${count(queueFill)})`
      : `queue ${count(queueFill)}/${count(queueCapacity)}`;
  const where = (has: (block: BlockReport) => boolean) =>
    blocks.length > 1 ? `, BLOCK ${blocks.filter(has).map(({ block }) => block)}` : '';
  return [
    ...(queueCapacity === 0 ? [] : [fill, `oldest ${count(ageMax)} steps`]),
    `pair distance ${number(pairDistance, 3)}${hasCollapsed(repulsion) ? ` (COLLAPSED${where(hasCollapsed)})` : ''}`,
    `uniformity ${number(uniformity, 3)}`,
    ...(hasFled(repulsion) ? [`shift ${number(shift, 3)} (FLED FROM THE QUEUE${where(hasFled)})`] : []),
  ];
}

function commitFields({ commit, report: { stepSeconds } }: ProgressView): string[] {
  if (commit === undefined) return [];
  if (commit === null) return ['no commit since the start'];
  const { report, secondsAgo } = commit;
  return [
    `committed step ${count(report.step)} (generation ${count(report.generation)})`,
    `${duration(secondsAgo)} ago`,
    `${bytes(report.bytesWritten)} in ${duration(report.seconds)}`,
    ...(report.stallSeconds > stepSeconds ? [`steps held up ${duration(report.stallSeconds)}`] : []),
  ];
}

function fractionDone({ total, report }: ProgressView): number | null {
  return total === null ? null : total === 0 ? 1 : Math.min(1, report.step / total);
}

/** Puts a bar after the head fields, as wide as the line has room for; none where it would be a stub. */
function withBar(fields: string[], fraction: number | null, width: number): string[] {
  const room = Math.min(40, width - fields.join('  ').length - 2 - '[]'.length);
  if (fraction === null || room < 8) return fields;
  const full = Math.floor(room * fraction);
  return [...fields, `[${'#'.repeat(full)}${'-'.repeat(room - full)}]`];
}

/** Fills lines with whole fields, two spaces apart; only a field wider than the line itself is cut. */
function wrap(fields: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const whole of fields) {
    const field = whole.length <= width ? whole : `${whole.slice(0, width - 1)}…`;
    const last = lines.at(-1);
    if (last !== undefined && last.length + 2 + field.length <= width) lines[lines.length - 1] = `${last}  ${field}`;
    else lines.push(field);
  }
  return lines;
}

/** 1204 -> "1,204". */
export function count(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',') : number(value);
}

/** Significant digits, short: 0.21341 -> "0.2134", 0.0000213 -> "2.130e-5", 1234.5 -> "1,235", NaN -> "NaN". */
export function number(value: number, digits = 4): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-3)) return value.toExponential(digits - 1);
  return size >= 10 ** (digits - 1) ? count(value) : value.toPrecision(digits);
}

/** 0.0498 -> "49.8ms", 12.3 -> "12s", 192 -> "3m12s", 7500 -> "2h05m", 273600 -> "3d04h". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return number(seconds);
  if (seconds < 1) return `${(seconds * 1000).toPrecision(3)}ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  const two = (part: number) => String(part).padStart(2, '0');
  if (days > 0) return `${count(days)}d${two(hours)}h`;
  if (hours > 0) return `${hours}h${two(minutes)}m`;
  return minutes > 0 ? `${minutes}m${two(whole % 60)}s` : `${whole}s`;
}

/** 38000000 -> "38.0MB". */
export function bytes(value: number): string {
  const unit = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
  let scaled = value;
  let power = 0;
  while (scaled >= 999.5 && power < unit.length - 1) {
    scaled /= 1000;
    power++;
  }
  return `${power === 0 ? scaled : scaled.toPrecision(3)}${unit[power]}`;
}
