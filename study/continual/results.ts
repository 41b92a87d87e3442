/** What trains on the stream: with or without a queue of negatives, and with how much of the past in its batches. */
export interface Variant {
  readonly queue: 'none' | 'queue';
  readonly share: number;
}

/** One evaluation: after a turn of the stream, FID of each class that has come so far. A line of results.jsonl. */
export interface Measurement extends Variant {
  readonly seed: number;
  /** Counted from 0. */
  readonly turn: number;
  /** Steps of the run when it was measured. */
  readonly step: number;
  /** By class. */
  readonly fid: Readonly<Record<string, number>>;
}

/** Of one run. */
export interface Outcome extends Variant {
  readonly seed: number;
  /** FID at the end: mean over all classes, and over those of the last turn. */
  readonly end: number;
  readonly newest: number;
  /** Mean over the classes of all turns but the last of their FID at the end less the best that they ever had: at least 0. */
  readonly forgetting: number;
}

export const nameOf = ({ queue, share }: Variant): string =>
  `${queue === 'none' ? 'no queue' : 'queue'}, share ${share}`;

/** What became of a run; null where it is not measured to the end. `turns`: the classes of each. */
export function outcomeOf(measurements: readonly Measurement[], turns: readonly (readonly number[])[]): Outcome | null {
  const last = measurements.find(({ turn }) => turn === turns.length - 1);
  if (last === undefined) return null;
  const { queue, share, seed } = last;
  const at = (of: Measurement, label: number) => of.fid[label]!;
  const older = turns.slice(0, -1).flat();
  const forgotten = older.map((label) => {
    const ever = measurements.filter(({ fid }) => label in fid).map((one) => at(one, label));
    return at(last, label) - Math.min(...ever);
  });
  return {
    queue,
    share,
    seed,
    end: mean(turns.flat().map((label) => at(last, label))),
    newest: mean(turns.at(-1)!.map((label) => at(last, label))),
    forgetting: mean(forgotten),
  };
}

export const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean over seeds, with the range where there are several. */
export function overSeeds(values: readonly number[]): string {
  const whole = (value: number) => value.toFixed(value < 100 ? 1 : 0);
  if (values.length === 1) return whole(values[0]!);
  return `${whole(mean(values))} (${whole(Math.min(...values))} to ${whole(Math.max(...values))})`;
}

/** One table in Markdown, a row a variant in the order given. */
export function outcomeTable(outcomes: readonly Outcome[]): string {
  const rows = new Map<string, Outcome[]>();
  for (const outcome of outcomes) rows.set(nameOf(outcome), [...(rows.get(nameOf(outcome)) ?? []), outcome]);
  return [
    '| variant | seeds | FID of all classes at the end | of the last classes | forgetting |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...[...rows].map(([name, of]) => {
      const cells = (['end', 'newest', 'forgetting'] as const).map((key) => overSeeds(of.map((one) => one[key])));
      return `| ${name} | ${of.length} | ${cells.join(' | ')} |`;
    }),
  ].join('\n');
}

/** FID of each class over the turns, mean over the seeds: a table in Markdown for each variant. */
export function classTable(measurements: readonly Measurement[], turns: readonly (readonly number[])[]): string {
  const labels = turns.flat();
  const head = [`| after | ${labels.join(' | ')} |`, `| --- |${' ---: |'.repeat(labels.length)}`];
  const rows = turns.map((classes, turn) => {
    const of = measurements.filter((one) => one.turn === turn);
    const cells = labels.map((label) => {
      const values = of.flatMap(({ fid }) => (label in fid ? [fid[label]!] : []));
      return values.length === 0 ? '' : mean(values).toFixed(0);
    });
    return `| ${classes.join(' and ')} | ${cells.join(' | ')} |`;
  });
  return [...head, ...rows].join('\n');
}
