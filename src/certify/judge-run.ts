import { openLineage } from '../checkpoint/commit-history.ts';
import { restore } from '../checkpoint/restore.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import { RepulsorError } from '../errors.ts';
import { type CommittedOutcome, readOutcome } from './committed-outcome.ts';
import { type CompareOptions, compareRuns } from './compare-runs.ts';
import type { ScratchRun } from './scratch.ts';
import { KEPT_COMMITS } from './trial-pipeline.ts';

export interface Judgement {
  readonly same: boolean;
  /** What is the same, or what is not. */
  readonly what: string;
}

/**
 * Whether a run, read as anyone may read it, is the reference: every step, and every commit that should be whole is.
 * @throws what says nothing about the run, as a log that does not answer
 */
export async function judgeRun(
  place: ScratchRun,
  reference: CommittedOutcome,
  options: CompareOptions,
): Promise<Judgement> {
  let outcome: CommittedOutcome | null;
  try {
    outcome = await readOutcome(place);
    await readCommits(place);
  } catch (error) {
    if (!(error instanceof RepulsorError) || !error.code.startsWith('STATE_')) throw error;
    return { same: false, what: `the run does not read back whole: ${error.message}` };
  }
  if (outcome === null) return { same: false, what: 'the run has no commit' };
  const differences = compareRuns(outcome, reference, options);
  if (differences.length > 0)
    return {
      same: false,
      what: [...differences.map(({ kind, what }) => `${kind}: ${what}`), ...lossDifference(outcome, reference)].join(
        '; ',
      ),
    };
  const writers = new Set(outcome.commits.map(({ epoch }) => epoch)).size;
  const by = `${outcome.steps.length} steps, ${outcome.commits.length} commits by ${writers} trainer${writers > 1 ? 's' : ''}`;
  return { same: true, what: options.samplesOnly ? `the same samples: ${by}` : `identical, bit for bit: ${by}` };
}

/** Loads and checks the state of each commit that keeps its blobs. */
async function readCommits({ log, store, run }: ScratchRun): Promise<void> {
  const lineage = openLineage(log, runTopics(run).commits);
  for (let index = 0; index < KEPT_COMMITS; index++) await restore({ log, store, run, lineage }, index);
}

/** By how much the losses part, where they do first. */
function lossDifference(outcome: CommittedOutcome, reference: CommittedOutcome): string[] {
  for (const [i, { step, terms }] of outcome.steps.entries()) {
    const wanted = reference.steps[i]?.terms ?? {};
    const name = Object.keys(wanted).find((term) => !Object.is(terms[term], wanted[term]));
    if (name !== undefined) return [`at step ${step} the loss term ${name} is ${terms[name]}, not ${wanted[name]}`];
  }
  return [];
}
