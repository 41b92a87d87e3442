import { createHash } from 'node:crypto';
import type { Blob, Commit, Negatives, RecordKind, Records } from '../codec/records.ts';
import { schemaFingerprints } from '../codec/schemas.ts';
import { encode } from '../codec/single-object.ts';
import { hasCode, RepulsorError } from '../errors.ts';
import type { FencedWriter, Transaction } from '../log/log.ts';
import { neededOffsets } from '../operators/needed-offsets.ts';
import { canonicalJson, configDigest } from './canonical-json.ts';
import type { CommitRequest, CommitterSettings } from './commit.ts';
import { type CommitEntry, FORMAT_HEADER, FORMAT_VERSION } from './commit-history.ts';
import { ZERO_DIGEST } from './digest.ts';
import { type EffectName, type OnEffect, performed } from './effects.ts';
import { inAppends, splitNegatives } from './record-size.ts';
import type { RunTopics } from './run-id.ts';

/** Either the commit was made, or why not. `final`: this writer must not try again, only recovery can tell what holds. */
export type CommitOutcome =
  | { readonly made: CommitEntry }
  | { readonly made: null; readonly error: RepulsorError; readonly final: boolean };

export interface CommitPlace {
  /** Of the committer. */
  readonly epoch: number;
  /** The state's blobs, stored already. */
  readonly blobs: Blob[];
  /** The commit that this one continues. */
  readonly parent: CommitEntry | null;
  /** The last commit in the topic: the parent, but for the first commit after a fallback. */
  readonly newest: CommitEntry | null;
}

/** The one transaction of a commit: negatives, journal, dead letters, the commit record, the group's offsets. */
export async function writeCommit(
  writer: FencedWriter,
  topics: RunTopics,
  settings: CommitterSettings,
  request: CommitRequest,
  place: CommitPlace,
): Promise<CommitOutcome> {
  const { onEffect } = settings;
  let transaction: Transaction;
  try {
    transaction = await performed(onEffect, 'begin', () => writer.begin());
  } catch (error) {
    return { made: null, error: asRepulsorError(error), final: hasCode(error, 'FENCED') };
  }
  let made: CommitEntry;
  try {
    made = await appendAll(transaction, topics, settings, request, place);
  } catch (error) {
    return hasCode(error, 'FENCED')
      ? { made: null, error: asRepulsorError(error), final: true }
      : abandon(transaction, asRepulsorError(error));
  }
  try {
    await performed(onEffect, 'commit', () => transaction.commit());
  } catch (error) {
    return {
      made: null,
      error: hasCode(error, 'FENCED') ? asRepulsorError(error) : unknownOutcome(place, error),
      final: true,
    };
  }
  return { made };
}

async function appendAll(
  transaction: Transaction,
  topics: RunTopics,
  settings: CommitterSettings,
  request: CommitRequest,
  { epoch, blobs, parent, newest }: CommitPlace,
): Promise<CommitEntry> {
  const { onEffect } = settings;
  const append = async (effect: EffectName, topic: string, values: Iterable<Uint8Array>, before: number) => {
    let begin: number | null = null;
    let end = before;
    for (const group of inAppends(values)) {
      const records = group.map((value) => ({ value }));
      const places = await performed(onEffect, effect, () => transaction.append(topic, records));
      begin ??= places[0]!.offset;
      end = places.at(-1)!.offset + 1;
    }
    return { begin: begin ?? before, end };
  };
  const negatives = await append(
    'negatives',
    topics.negatives,
    encoded('negatives', pieces(request.negatives)),
    newest?.commit.negatives.end ?? 0,
  );
  const journal = await append(
    'journal',
    topics.journal,
    encoded('step-journal', request.journal),
    newest?.commit.journalEnd ?? 0,
  );
  await append('dead-letters', topics.deadLetters, request.deadLetters ?? [], 0);

  const { position, queue } = request;
  const commit: Commit = {
    formatVersion: FORMAT_VERSION,
    run: settings.run,
    step: request.step,
    generation: generationAfter(newest),
    epoch,
    time: Date.now(),
    blobs,
    position: structuredClone(position) as Commit['position'],
    negatives: { ...negatives, ...(queue ?? { capacity: 0, dim: 0, count: 0, digest: ZERO_DIGEST }) },
    journalBegin: journal.begin,
    journalEnd: journal.end,
    journalDigest: request.journal.at(-1)?.digest ?? parent?.commit.journalDigest ?? ZERO_DIGEST,
    previous: parent?.digest ?? ZERO_DIGEST,
    seed: settings.seed,
    configDigest: configDigest(settings.config),
    schemaDigest: schemaDigest(),
    engine: settings.engine,
    config: canonicalJson(settings.config),
    origin: request.began?.origin ?? parent?.commit.origin ?? null,
    since: request.began?.since ?? parent?.commit.since ?? null,
  };
  const value = encode('commit', commit);
  const record = { value, timestamp: commit.time, headers: { [FORMAT_HEADER]: Buffer.from(`${FORMAT_VERSION}`) } };
  const [at] = await performed(onEffect, 'commit-record', () => transaction.append(topics.commits, [record]));
  if (settings.group !== undefined) await sendOffsets(transaction, settings.group, request, onEffect);
  return { commit, digest: createHash('sha256').update(value).digest(), offset: at!.offset };
}

/** Lazily, so that many records are encoded an append at a time and steps run in between. */
function* encoded<K extends RecordKind>(kind: K, records: Iterable<Records[K]>): Generator<Uint8Array> {
  for (const record of records) yield encode(kind, record);
}

function* pieces(records: Iterable<Negatives>): Generator<Negatives> {
  for (const record of records) yield* splitNegatives(record);
}

/** Lag monitors see the oldest offset still needed: a record counts as read once no restart would read it again. */
async function sendOffsets(
  transaction: Transaction,
  group: string,
  { position }: CommitRequest,
  onEffect: OnEffect | undefined,
): Promise<void> {
  const needed = neededOffsets(position);
  for (const topic of new Set(needed.map((place) => place.topic))) {
    const next = new Map(needed.filter((p) => p.topic === topic).map(({ partition, offset }) => [partition, offset]));
    await performed(onEffect, 'offsets', () => transaction.sendOffsets(group, topic, next));
  }
}

async function abandon(transaction: Transaction, error: RepulsorError): Promise<CommitOutcome> {
  try {
    await transaction.abort();
    return { made: null, error, final: false };
  } catch {
    // Left open, it is never committed: the next take-over ends it, and until then no reader sees it.
    return { made: null, error, final: true };
  }
}

/** Guessing here could train a step twice or lose it: both answers are possible until the log is asked again. */
function unknownOutcome({ newest }: CommitPlace, cause: unknown): RepulsorError {
  const message = `whether the log took commit ${generationAfter(newest)} is not known: ${(cause as Error).message}`;
  return new RepulsorError('LOG_FAILED', message, {
    hint: 'Start the trainer again: recovery reads which commit is the last and goes on from it.',
    cause,
  });
}

function generationAfter(newest: CommitEntry | null): number {
  return (newest?.commit.generation ?? 0) + 1;
}

function asRepulsorError(error: unknown): RepulsorError {
  if (error instanceof RepulsorError) return error;
  return new RepulsorError('LOG_FAILED', `the commit was not made: ${(error as Error).message}`, {
    hint: 'Nothing of it can be read; the last commit holds.',
    cause: error,
  });
}

/** SHA-256 over "kind fingerprint" lines, sorted by kind, hex: which schemas wrote the run's records. */
export function schemaDigest(): string {
  const lines = Object.entries(schemaFingerprints()).map(([kind, fingerprint]) => `${kind} ${fingerprint}\n`);
  return createHash('sha256').update(lines.sort().join(''), 'ascii').digest('hex');
}
