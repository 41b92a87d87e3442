import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { filled, reportOf } from '../../study/study/report.ts';
import { readMeasurements } from '../../study/study/results.ts';
import type { StepTimes } from '../../study/study/step-times.ts';

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const measured = readMeasurements(read('study/measured/results.jsonl'));
const report = reportOf(measured, JSON.parse(read('study/measured/step-times.json')) as StepTimes);

test('docs/study.md and its plots show what was measured, and nothing else', () => {
  const page = read('docs/study.md');
  expect(filled(page, report.sections)).toBe(page);
  const marks = [...page.matchAll(/<!-- study: (\S+) -->/g)].map(([, name]) => name);
  for (const name of report.sections.keys()) expect(marks).toContain(name);
  for (const [name, svg] of report.plots) expect(read(`docs/images/${name}`)).toBe(svg);
});
