import type { Commit } from '../codec/records.ts';
import { hasCode, RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { gapOf } from '../log/offset-errors.ts';
import { demandWritten } from '../log/read-range.ts';
import { neededOffsets } from '../operators/needed-offsets.ts';
import { byTopic, type StreamPosition } from '../operators/position.ts';
import { deletedError } from '../operators/topic-identity.ts';
import { configDigest } from './canonical-json.ts';
import type { Committer } from './commit.ts';
import { demandNoted } from './commit-witness.ts';
import { differingSettings } from './config-difference.ts';
import { type RestoredState, restore } from './restore.ts';
import type { StateBlobs } from './state-blobs.ts';

export interface RecoverOptions {
  /** Which has taken the run over already. */
  readonly committer: Committer;
  /** Settings that may differ from the committed ones, each with all below it. Default: none. */
  readonly freeSettings?: readonly string[];
  /** The log of the inputs, to see whether they are all still there. Default: not checked. */
  readonly inputs?: Log;
  /** Fills in the settings that an older version, which made the commit, did not have yet. Default: none. */
  readonly complete?: (committed: unknown) => unknown;
  /**
   * Go back to the newest commit that is whole, where the last one's blobs or rows are missing or damaged, or it is gone
   * itself. Where none is left it is refused all the same.
   */
  readonly fallback?: boolean;
  /** Tensors whose memory those of the same name, shape and dtype are read into. */
  readonly into?: StateBlobs;
}

export interface Recovered extends RestoredState {
  /** Newer commits that are not whole, or gone, and why: given up by the next commit. Empty without `fallback`. */
  readonly skipped: ReadonlyArray<{ readonly generation: number; readonly error: RepulsorError }>;
}

/**
 * The state to go on from, or null for a run without a commit. Every blob is checked, the queue is rebuilt and compared
 * with its digest, and the settings must fit.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED, STATE_MISMATCH
 */
export async function recover(options: RecoverOptions): Promise<Recovered | null> {
  const { committer, fallback = false, into } = options;
  const { log, store, run, config, witness } = committer.settings;
  const skipped: { generation: number; error: RepulsorError }[] = [];
  if (witness !== undefined) {
    const newest = await committer.lineage.at(0);
    try {
      await demandNoted(witness, newest?.commit.generation ?? 0, log.url, committer.topics.commits);
    } catch (error) {
      // With nothing left there is nothing to fall back to. To begin anew here would remove the blobs of all that was made.
      if (!fallback || newest === null || !hasCode(error, 'STATE_MISSING', 'STATE_DAMAGED')) throw error;
      skipped.push({ generation: newest.commit.generation + 1, error });
    }
  }
  for (let index = 0; ; index++) {
    const entry = await committer.lineage.at(index);
    if (entry === null) break;
    checkSettings(entry.commit, config, options);
    let restored: RestoredState;
    try {
      const from = { log, store, run, lineage: committer.lineage };
      restored = (await restore(from, index, { ...(into && { into }) }))!;
    } catch (error) {
      if (!hasCode(error, 'STATE_MISSING', 'STATE_DAMAGED') || !fallback) throw error;
      skipped.push({ generation: entry.commit.generation, error });
      continue;
    }
    // An older commit would need the inputs all the more.
    if (options.inputs !== undefined) await checkInputs(options.inputs, restored.position);
    if (!fallback) await checkHistory(committer, restored.commit);
    await committer.continueFrom(index);
    return { ...restored, skipped };
  }
  if (skipped.length === 0) return null;
  throw new RepulsorError('STATE_MISSING', `none of the ${skipped.length} commits of the run ${run} is whole`, {
    hint: 'Restore the blobs or the negatives topic from a backup, or begin a new run.',
    cause: skipped[0]!.error,
  });
}

function checkSettings(commit: Commit, config: unknown, options: RecoverOptions): void {
  if (commit.configDigest === configDigest(config)) return;
  const { freeSettings = [], complete = (committed) => committed } = options;
  const differences = differingSettings(complete(JSON.parse(commit.config)), config, freeSettings);
  if (differences.length === 0) return;
  const list = differences.map(({ path, committed, wanted }) => `${path} was ${committed}, is ${wanted}`).join('; ');
  throw new RepulsorError('STATE_MISMATCH', `the settings do not fit the state of step ${commit.step}: ${list}`, {
    hint: 'Set them back, or begin a new run in another folder.',
  });
}

/**
 * A topic of the run that was deleted is made anew, empty, by the take-over. To go on would leave a hole in the history that
 * no restored copy fits into any more. What the journal holds is not read here, only where it ends.
 */
async function checkHistory({ settings, topics }: Committer, { negatives, journalEnd }: Commit): Promise<void> {
  await demandWritten(settings.log, topics.negatives, 0, negatives.end);
  await demandWritten(settings.log, topics.journal, 0, journalEnd);
}

/**
 * The offsets to read on from must all be there: a gap would be trained over without a word. Partitions that came since
 * do not hinder: followed topics are read with them, epochs keep to what they began with.
 */
async function checkInputs(inputs: Log, position: StreamPosition): Promise<void> {
  for (const [topic, needed] of byTopic(neededOffsets(position))) {
    const there = await inputs.partitions(topic).catch((error: unknown) => {
      throw hasCode(error, 'TOPIC_MISSING') ? deletedError(error) : error;
    });
    for (const { partition, offset } of needed) {
      if (!there.includes(partition)) throw partitionGone(topic, partition, offset);
      const { earliest } = await inputs.offsets(topic, partition);
      if (offset < earliest) throw inputTruncated(topic, partition, offset, earliest);
    }
  }
}

function partitionGone(topic: string, partition: number, offset: number): RepulsorError {
  return new RepulsorError(
    'STATE_MISSING',
    `${topic} has no partition ${partition}; the run reads it from offset ${offset} on`,
    {
      hint: 'Was the topic deleted and made anew? Restore it, or begin a new run.',
    },
  );
}

function inputTruncated(topic: string, partition: number, offset: number, earliest: number): RepulsorError {
  return new RepulsorError(
    'STATE_TRUNCATED',
    `${topic}, partition ${partition}: the run goes on at offset ${offset}, but ${gapOf(offset, earliest)}`,
    { hint: 'Restore the records from a backup, or begin a new run; lengthen the retention.' },
  );
}
