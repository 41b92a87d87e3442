import { isDeepStrictEqual } from 'node:util';
import { samplesOf } from '../checkpoint/journal.ts';
import type { StepJournal } from '../codec/records.ts';
import type { SampleId } from '../operators/position.ts';
import type { CommittedOutcome } from './committed-outcome.ts';

/**
 * `lost`: a step, a sample or a dead letter of the uninterrupted run is not there. `repeated`: one is there more often.
 * `differs`: something else is not, bit for bit, what it would have been.
 */
export interface Difference {
  readonly kind: 'lost' | 'repeated' | 'differs';
  readonly what: string;
}

export interface CompareOptions {
  /** Commits that a fallback was allowed to give up: their steps stand in the topics once more. Default 0. */
  readonly givenUp?: number;
  /** Only which samples each step trained, and where the input stands: for an engine that does not give the same bits again. */
  readonly samplesOnly?: boolean;
}

/**
 * How a run that faults came over differs from `reference`, the same run without any, brought to the same step. Empty when
 * a user could not tell them apart by steps, losses, digests, samples, weights, queue, dead letters and input position.
 * How many commits they took to get there may differ, and so may the times.
 */
export function compareRuns(
  run: CommittedOutcome,
  reference: CommittedOutcome,
  { givenUp = 0, samplesOnly = false }: CompareOptions = {},
): Difference[] {
  const letters = counted('dead letter', run.deadLetters.map(letterKey), reference.deadLetters.map(letterKey));
  return [
    ...ownFlaws(run, givenUp),
    ...compareSteps(run.steps, reference.steps, samplesOnly),
    ...compareSamples(run.steps, reference.steps),
    ...letters.filter(({ kind }) => givenUp === 0 || kind === 'lost'),
    ...compareNewest(run, reference, samplesOnly),
  ];
}

/**
 * What is wrong with a run whatever it is compared with: more than one chain of commits, steps committed more than once,
 * a commit of a writer that had been fenced.
 */
export function ownFlaws(
  { commits, lineage, steps, journaled, negatives }: CommittedOutcome,
  givenUp = 0,
): Difference[] {
  const found: Difference[] = [];
  if (lineage.length + givenUp !== commits.length)
    found.push({ kind: 'differs', what: `${commits.length} commits, but only ${lineage.length} are one chain` });
  for (const [i, { epoch, generation }] of commits.entries()) {
    const before = commits[i - 1]?.epoch ?? epoch;
    if (epoch < before)
      found.push({
        kind: 'differs',
        what: `commit ${generation} is of the writer ${epoch}, which ${before} had fenced`,
      });
  }
  if (givenUp > 0) return found;
  const each = steps.map(({ step }) => `${step}`);
  found.push(
    ...counted(
      'journal entry of step',
      journaled.map(({ step }) => `${step}`),
      each,
    ),
  );
  const capacity = commits.at(-1)?.negatives.capacity ?? 0;
  // A step with many rows is stored in several records.
  const keyed = negatives.map(({ step }) => step).filter((step, index, all) => step !== all[index - 1]);
  if (capacity > 0) found.push(...counted('negatives of step', keyed.map(String), each));
  return found;
}

function compareSteps(
  steps: readonly StepJournal[],
  reference: readonly StepJournal[],
  samplesOnly: boolean,
): Difference[] {
  const found: Difference[] = [];
  if (steps.length < reference.length)
    found.push({ kind: 'lost', what: `the run ends at step ${steps.length}, not ${reference.length}` });
  if (steps.length > reference.length)
    found.push({ kind: 'repeated', what: `the run ends at step ${steps.length}, not ${reference.length}` });
  for (const [index, step] of steps.entries()) {
    const wanted = reference[index];
    if (wanted === undefined || isDeepStrictEqual(Buffer.from(step.digest), Buffer.from(wanted.digest))) continue;
    const sameSamples = isDeepStrictEqual(samplesOf(step), samplesOf(wanted));
    if (samplesOnly && sameSamples) continue;
    const parts = [
      ...(sameSamples ? [] : ['samples']),
      ...(isDeepStrictEqual(hex(step.batchDigest), hex(wanted.batchDigest)) ? [] : ['batch']),
      ...(isDeepStrictEqual({ ...step.terms }, { ...wanted.terms }) ? [] : ['loss']),
      ...(Buffer.compare(step.keysDigest, wanted.keysDigest) === 0 ? [] : ['keys']),
    ];
    found.push({
      kind: 'differs',
      what: `step ${step.step} is the first that differs: ${parts.join(', ') || 'digest'}`,
    });
    break;
  }
  return found;
}

function compareSamples(steps: readonly StepJournal[], reference: readonly StepJournal[]): Difference[] {
  const keys = (of: readonly StepJournal[]) => of.flatMap(samplesOf).map(sampleKey);
  return counted('sample', keys(steps), keys(reference));
}

function compareNewest(run: CommittedOutcome, reference: CommittedOutcome, samplesOnly: boolean): Difference[] {
  const [newest, wanted] = [run.commits.at(-1)!, reference.commits.at(-1)!];
  const bits: [string, unknown, unknown][] = [
    ['the blobs of the weights', newest.blobs, wanted.blobs],
    ['the weights', run.state, reference.state],
    ['the queue', run.queue, reference.queue],
    ['the digest of the queue', [...newest.negatives.digest], [...wanted.negatives.digest]],
    ['the digest of the journal', [...newest.journalDigest], [...wanted.journalDigest]],
  ];
  const position: [string, unknown, unknown] = ['the input position', plain(newest.position), plain(wanted.position)];
  return [...(samplesOnly ? [] : bits), position]
    .filter(([, a, b]) => !isDeepStrictEqual(a, b))
    .map(([what]) => ({ kind: 'differs' as const, what: `not the uninterrupted run's: ${what}` }));
}

const hex = (digest: Uint8Array | null): string | null => digest && Buffer.from(digest).toString('hex');

/** Avro's decoder makes objects with classes of their own, which strict equality would tell apart. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Which of the keys are there less often than in `wanted`, and which more often; the first of each, and how many. */
function counted(of: string, keys: readonly string[], wanted: readonly string[]): Difference[] {
  const times = new Map<string, number>();
  for (const key of wanted) times.set(key, (times.get(key) ?? 0) - 1);
  for (const key of keys) times.set(key, (times.get(key) ?? 0) + 1);
  const tell = (kind: 'lost' | 'repeated', some: string[]): Difference[] =>
    some.length === 0
      ? []
      : [{ kind, what: `${of} ${some[0]} ${some.length > 1 ? `and ${some.length - 1} more` : ''}`.trim() }];
  return [
    ...tell(
      'lost',
      [...times].filter(([, n]) => n < 0).map(([key]) => key),
    ),
    ...tell(
      'repeated',
      [...times].filter(([, n]) => n > 0).map(([key]) => key),
    ),
  ];
}

const sampleKey = ({ topic, partition, offset, index }: SampleId): string => `${topic}/${partition}/${offset}/${index}`;
const letterKey = (letter: Omit<SampleId, 'index'> & { index: number | null }): string =>
  `${letter.topic}/${letter.partition}/${letter.offset}/${letter.index ?? '-'}`;
