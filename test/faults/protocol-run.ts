import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommittedOutcome, readOutcome } from '../../src/certify/committed-outcome.ts';
import { compareRuns, type Difference } from '../../src/certify/compare-runs.ts';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { folderWitness } from '../../src/checkpoint/commit-witness.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { RepulsorError } from '../../src/errors.ts';
import { openLog } from '../../src/log/open-log.ts';
import { progressFrom, SCENARIO, settings, trainAndCommit } from '../checkpoint/scenario.ts';
import type { Defect } from './broken-child.ts';
import { Judged, type Trial } from './fault.ts';

/** Steps of one commit of the protocol's trainer. */
export const STEPS = 3;
/** Every run begins with three commits, so that the third has removed blobs of the first (two are kept). */
export const BEGUN = 3 * STEPS;
/** Where every run ends, whatever came over it. */
export const FINAL = BEGUN + 4 * STEPS;

/** A run of the protocol's trainer: where its log and its blobs are. */
export interface ProtocolRun {
  readonly url: string;
  /** Its blobs are below, and its log if that is a folder. */
  readonly folder: string;
  readonly run: string;
  readonly group?: string;
  /** What is wrong with its trainer; for the test that the campaign can fail. */
  readonly broken?: Defect;
}

const blobsOf = ({ folder }: ProtocolRun): string => join(folder, 'blobs');

/** Recovers, and commits until the run is at `until`. The step it recovered. @throws what the product throws */
export async function goOn(at: ProtocolRun, until: number, { fallback = false } = {}): Promise<number> {
  const log = await openLog(at.url);
  try {
    const store = await openFolderStore(blobsOf(at));
    const witness = folderWitness(at.folder);
    const group = at.group !== undefined && { group: at.group };
    const more = { run: at.run, keep: { last: 2, every: null }, witness, ...group };
    const committer = await openCommitter(settings(log, store, more));
    const recovered = await recover({ committer, fallback });
    const progress = progressFrom(SCENARIO, recovered);
    const begun = progress.step;
    while (progress.step < until)
      await trainAndCommit(SCENARIO, committer, progress, Math.min(STEPS, until - progress.step));
    await committer.close();
    return begun;
  } finally {
    await log.close();
  }
}

export async function outcomeOf(at: ProtocolRun): Promise<CommittedOutcome | null> {
  const log = await openLog(at.url);
  try {
    return await readOutcome({ log, store: await openFolderStore(blobsOf(at)), run: at.run });
  } finally {
    await log.close();
  }
}

/** A run on a file log, at step BEGUN: a copy of one that was made once. */
export async function copyRun(made: ProtocolRun, folder: string): Promise<ProtocolRun> {
  await mkdir(folder, { recursive: true });
  await cp(made.folder, folder, { recursive: true });
  return { ...made, folder, url: `file:${join(folder, 'log')}` };
}

/** `told`: the last step that the trainer was told to be committed. `made`: the last one that it may have committed. */
export interface Bounds {
  readonly told: number;
  readonly made: number;
}

/**
 * What came of a run that must go on: it recovers a commit that it was told of or a later one that it made, and, brought to
 * its end, equals the run that no fault came over.
 */
export async function judge(at: ProtocolRun, { told, made }: Bounds, reference: CommittedOutcome): Promise<void> {
  let begun: number;
  try {
    begun = await goOn(at, FINAL);
  } catch (error) {
    throw new Judged('wrongly refused', `it does not go on: ${saying(error)}`);
  }
  if (begun < told) throw new Judged('lost', `it was told of a commit at step ${told}, and goes on from step ${begun}`);
  if (begun > made) throw new Judged('repeated', `it goes on from step ${begun}; no trainer came further than ${made}`);
  await judgeOutcome(at, reference);
}

/** Everything the run holds is there to be read, and equals the uninterrupted run. */
export async function judgeOutcome(at: ProtocolRun, reference: CommittedOutcome): Promise<void> {
  let found: CommittedOutcome | null;
  try {
    found = await outcomeOf(at);
  } catch (error) {
    throw new Judged('silently accepted', `it went on, but cannot be read whole: ${saying(error)}`);
  }
  if (found === null) throw new Judged('lost', 'no commit is left');
  demandSame(compareRuns(found, reference));
}

export function demandSame(differences: readonly Difference[]): void {
  if (differences.length === 0) return;
  const worst = differences.find(({ kind }) => kind !== 'differs') ?? differences[0]!;
  const verdict = worst.kind === 'differs' ? 'silently accepted' : worst.kind;
  throw new Judged(verdict, differences.map(({ kind, what }) => `${kind}: ${what}`).join('; '));
}

export function saying(error: unknown): string {
  if (error instanceof RepulsorError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Runs a trial's work; what it throws as Judged is its verdict. */
export async function trial(moment: () => string, work: () => Promise<Trial['verdict']>): Promise<Trial> {
  try {
    return { verdict: await work(), moment: moment() };
  } catch (error) {
    if (error instanceof Judged) return { verdict: error.verdict, moment: moment(), detail: error.message };
    throw error;
  }
}
