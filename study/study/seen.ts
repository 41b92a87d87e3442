import { appendFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EvaluationReport, StepReport } from '../../src/trainer/report.ts';
import type { Features, Spread } from './results.ts';

/** Steps whose mean a mark tells. */
const WINDOW = 100;

/** What a run shows of itself at its marks, kept in its folder: a process that goes on finds what the one before saw. */
type Line = { readonly step: number; readonly spread?: Spread; readonly features?: Features };

const fileOf = (folder: string) => join(folder, 'seen.jsonl');

/** Notes the mean spread of the last steps before each mark, and the block's features where they are measured. */
export function noteSeen(folder: string, marks: readonly number[], hasQueue: boolean) {
  const note = (line: Line) => appendFileSync(fileOf(folder), `${JSON.stringify(line)}\n`);
  let window: StepReport[] = [];
  return {
    onStep(report: StepReport): void {
      if (report.repulsion === null) return;
      window = [...window.slice(1 - WINDOW), report];
      if (marks.includes(report.step)) note({ step: report.step, spread: spreadOf(window, hasQueue) });
    },
    onEvaluation({ step, effectiveRank, uniformity, knnAccuracy }: EvaluationReport): void {
      note({ step, features: { effectiveRank, uniformity, knnAccuracy } });
    },
  };
}

function spreadOf(window: readonly StepReport[], hasQueue: boolean): Spread {
  const mean = (name: 'pairDistance' | 'uniformity' | 'shift' | 'similarity' | 'drift') =>
    window.reduce((sum, { repulsion }) => sum + repulsion![name], 0) / window.length;
  const ofQueue = (name: 'shift' | 'similarity' | 'drift') => (hasQueue ? mean(name) : null);
  return {
    pairDistance: mean('pairDistance'),
    uniformity: mean('uniformity'),
    shift: ofQueue('shift'),
    similarity: ofQueue('similarity'),
    drift: ofQueue('drift'),
    over: window.length,
  };
}

/** At a mark; of what was seen twice the last. */
export async function seenAt(
  folder: string,
  step: number,
): Promise<{ spread: Spread | null; features: Features | null }> {
  const text = await readFile(fileOf(folder), 'utf8').catch(() => '');
  const lines = text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.step === step);
  return {
    spread: lines.findLast(({ spread }) => spread !== undefined)?.spread ?? null,
    features: lines.findLast(({ features }) => features !== undefined)?.features ?? null,
  };
}
