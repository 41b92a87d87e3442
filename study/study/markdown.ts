import type { Table } from '../../bench/table.ts';

/** A table in Markdown, its title as a paragraph before it, its columns lined up as the formatter of this repository has them. */
export function linedUp({ title, columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map(String))];
  const widths = columns.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [`${title}:`, '', ...[cells[0]!, rule, ...cells.slice(1)].map(line)].join('\n');
}
