import type { Goal } from './benchmark.ts';

/** A table for people: plain text, columns lined up, numbers at the right. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: ReadonlyArray<readonly (string | number)[]>;
}

export function formatTable({ title, columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? short(cell) : cell)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  const lines = cells.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  return [title, ...lines.map((line) => `  ${line.trimEnd()}`)].join('\n');
}

/** The same as Markdown, its title as a paragraph before it. */
export function markdownTable({ title, columns, rows }: Table): string {
  const cell = (value: string | number): string =>
    typeof value === 'number' ? short(value) : value.replaceAll('|', '/');
  const line = (cells: readonly (string | number)[]): string => `| ${cells.map(cell).join(' | ')} |`;
  const rule = columns.map((_, i) => (i === 0 ? '---' : '---:'));
  return [`${title}:`, '', line(columns), line(rule), ...rows.map(line)].join('\n');
}

export function goalTable(goals: Readonly<Record<string, Goal>>): Table {
  const rows = Object.entries(goals).map(([name, { value, goal, met }]) => [
    name,
    value,
    goal,
    met ? 'met' : 'NOT MET',
  ]);
  return { title: 'Goals', columns: ['goal', 'value', 'wanted', ''], rows };
}

/** Three significant digits; whole numbers from 100 on. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));
}

export function megabytes(bytes: number): string {
  return `${short(bytes / 1e6)} MB`;
}
