import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Table } from '../../bench/table.ts';
import { linedUp } from './markdown.ts';
import { outcomesOf } from './outcome.ts';
import { curvesPlot, endPlot, stepTimePlot } from './plots.ts';
import type { Measurement } from './results.ts';
import { SET_NAMES, SETS } from './sets.ts';
import type { StepTimes } from './step-times.ts';
import { endTable, spreadTable, stepTimeTable, timeTable } from './tables.ts';
import { PLAIN } from './variants.ts';

/** What the study found, as a page has it: sections of Markdown, and plots by the names of their files. */
export interface Report {
  readonly sections: ReadonlyMap<string, string>;
  readonly plots: ReadonlyMap<string, string>;
}

/**
 * Of all runs that came to their end, and of the curves of the others so far. `images`: where the plots lie, seen from the page.
 * A pure function of its input.
 */
export function reportOf(measurements: readonly Measurement[], times: StepTimes | null, images = 'images/'): Report {
  const sections = new Map<string, string>();
  const plots = new Map<string, string>();
  for (const set of SET_NAMES) {
    const variants = SETS[set].variants.map(({ name }) => name);
    // Others are of a version that had other variants.
    const ofSet = measurements.filter((one) => one.set === set && variants.includes(one.variant));
    const outcomes = outcomesOf(measurements, set, variants, times);
    if (ofSet.length > 0) {
      draw(`${set}-curves`, `study-${set}.svg`, `FID of the ${set} against steps`, curvesPlot(ofSet, set));
      add(`${set}-trap`, spreadTable(ofSet, variants));
    }
    if (outcomes.length > 0) {
      draw(`${set}-dots`, `study-${set}-end.svg`, `FID of the ${set} at the end`, endPlot(outcomes, set));
      add(`${set}-end`, endTable(outcomes));
      const plain = outcomes.find(({ variant }) => variant === PLAIN);
      if (plain !== undefined) add(`${set}-time`, timeTable(outcomes, plain.steps));
    }
    if (times?.sets[set] !== undefined) {
      draw(`${set}-bars`, `study-${set}-step-times.svg`, "A step's time over one of plain", stepTimePlot(times, set));
      add(`${set}-step-times`, stepTimeTable(times, set));
    }
  }
  return { sections, plots };

  function draw(name: string, file: string, alt: string, svg: string): void {
    plots.set(file, svg);
    sections.set(name, `![${alt}](${images}${file})`);
  }

  function add(name: string, table: Table): void {
    sections.set(name, linedUp(table));
  }
}

/** Files of its own: results.md, and the plots. */
export async function writeReport(out: string, { sections, plots }: Report): Promise<string> {
  await mkdir(out, { recursive: true });
  const file = join(out, 'results.md');
  await writeFile(file, `${[...sections.values()].join('\n\n')}\n`);
  for (const [name, svg] of plots) await writeFile(join(out, name), svg);
  return file;
}

/** Puts the sections between their marks in a page, and the plots into `images` beside it. Returns the page. */
export async function fillPage(page: string, report: Report): Promise<string> {
  const text = await readFile(page, 'utf8');
  await writeFile(page, filled(text, report.sections));
  const images = join(dirname(page), 'images');
  await mkdir(images, { recursive: true });
  for (const [name, svg] of report.plots) await writeFile(join(images, name), svg);
  return page;
}

/** `<!-- study: NAME -->` ... `<!-- end -->`: what is between is written anew; a section that is not there says so. */
export function filled(page: string, sections: ReadonlyMap<string, string>): string {
  return page.replace(/<!-- study: (\S+) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    return `<!-- study: ${name} -->\n\n${sections.get(name) ?? 'Not measured yet.'}\n\n<!-- end -->`;
  });
}
