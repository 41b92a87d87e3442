import type { NativeDevice } from '../../src/engine/native/config.ts';
import { RepulsorError } from '../../src/errors.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { runChild } from '../child.ts';
import type { CheckOutcome, CheckTask } from './check-process.ts';
import { checkTorch, type OpenMp } from './torch-side.ts';

/** How well both sides agree on the same weights, noise and images: greatest relative difference of each term. */
export interface Agreement {
  readonly steps: number;
  readonly terms: Readonly<Record<string, number>>;
  /** Of how far parameters, averages and the keys' network moved. */
  readonly moved: Readonly<Record<string, number>>;
}

const STEPS = 2;
/** Of the losses and the gradient's norm. */
const TERMS_WITHIN = 1e-5;
/** AdamW divides by the root of the gradient's own square: where that is next to nothing its rounding shows. */
const MOVED_WITHIN = 1e-3;

/**
 * Takes the same steps on both sides, in processes that end after it.
 * @throws RepulsorError USAGE when they differ: then the two do not do the same work, and no ratio means anything
 */
export async function checkArithmetic(
  pipeline: Pipeline,
  file: string,
  on: { readonly device: NativeDevice; readonly threads: number },
  say: (line: string) => void,
): Promise<{ agreement: Agreement; fused: boolean; openmp: OpenMp }> {
  say('the same two steps on both sides ...');
  const task: CheckTask = { pipeline, ...on, steps: STEPS, file };
  const ours = await runChild<CheckOutcome>(new URL('check-process.ts', import.meta.url), task);
  const theirs = await checkTorch({ pipeline, ...on, steps: STEPS, check: file });
  const agreement = agreementOf(ours, theirs);
  for (const [of, within] of [
    [agreement.terms, TERMS_WITHIN],
    [agreement.moved, MOVED_WITHIN],
  ] as const)
    for (const [name, difference] of Object.entries(of)) {
      if (difference <= within) continue;
      throw new RepulsorError(
        'USAGE',
        `${name} differs by ${difference} between the two sides, not ${within} at most`,
        {
          hint: `ours: ${JSON.stringify(ours)}; PyTorch's: ${JSON.stringify(theirs)}`,
        },
      );
    }
  return { agreement, fused: theirs.fused, openmp: theirs.openmp };
}

/** A value that one side lacks, or that is no number, is a difference of infinity. */
export function agreementOf(ours: CheckOutcome, theirs: CheckOutcome): Agreement {
  const terms: Record<string, number> = {};
  for (const [i, step] of ours.steps.entries())
    for (const [name, value] of Object.entries(step))
      terms[name] = Math.max(terms[name] ?? 0, difference(value, theirs.steps[i]?.[name]));
  const moved = Object.entries(ours.moved).map(([name, value]) => [name, difference(value, theirs.moved[name])]);
  return { steps: ours.steps.length, terms, moved: Object.fromEntries(moved) };
}

function difference(value: number, other: number | undefined): number {
  if (other === undefined || !Number.isFinite(value) || !Number.isFinite(other)) return Number.POSITIVE_INFINITY;
  return value === other ? 0 : Math.abs(value - other) / Math.max(Math.abs(value), Math.abs(other));
}
