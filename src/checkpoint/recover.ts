import type { Commit } from '../codec/records.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { StreamPosition } from '../operators/position.ts';
import { configDigest } from './canonical-json.ts';
import type { Committer } from './commit.ts';
import { differingSettings } from './config-difference.ts';
import { neededOffsets } from './needed-offsets.ts';
import { type RestoredState, restore } from './restore.ts';

/** Settings that may differ from the committed ones, each with all below it: they shape the run, not its state. */
export const FREE_SETTINGS: readonly string[] = [
  'commit',
  'log',
  'metrics',
  'operators.badRecords',
  'operators.prefetch',
  'sampling',
  'steps',
];

export interface RecoverOptions {
  /** Which has taken the run over already. */
  readonly committer: Committer;
  /** Default FREE_SETTINGS. */
  readonly freeSettings?: readonly string[];
  /** The log of the inputs, to see whether they are all still there. Default: not checked. */
  readonly inputs?: Log;
  /** Go back to the newest commit that is whole, where the last one's blobs or rows are missing or damaged. */
  readonly fallback?: boolean;
}

export interface Recovered extends RestoredState {
  /** Newer commits that are not whole, and why: given up by the next commit. Empty without `fallback`. */
  readonly skipped: ReadonlyArray<{ readonly generation: number; readonly error: RepulsorError }>;
}

/**
 * The state to go on from, or null for a run without a commit. Every blob is checked, the queue is rebuilt and compared
 * with its digest, and the settings must fit.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED, STATE_MISMATCH
 */
export async function recover(options: RecoverOptions): Promise<Recovered | null> {
  const { committer, fallback = false } = options;
  const { log, store, run, config } = committer.settings;
  const skipped: { generation: number; error: RepulsorError }[] = [];
  for (let index = 0; ; index++) {
    const entry = await committer.lineage.at(index);
    if (entry === null) break;
    checkSettings(entry.commit, config, options.freeSettings ?? FREE_SETTINGS);
    try {
      const restored = (await restore({ log, store, run, lineage: committer.lineage }, index))!;
      if (options.inputs !== undefined) await checkInputs(options.inputs, restored.position);
      await committer.continueFrom(index);
      return { ...restored, skipped };
    } catch (error) {
      if (!isBroken(error)) throw error;
      if (!fallback) throw error;
      skipped.push({ generation: entry.commit.generation, error });
    }
  }
  if (skipped.length === 0) return null;
  throw new RepulsorError('STATE_MISSING', `none of the ${skipped.length} commits of the run ${run} is whole`, {
    hint: 'Restore the blobs or the negatives topic from a backup, or begin a new run.',
    cause: skipped[0]!.error,
  });
}

function isBroken(error: unknown): error is RepulsorError {
  return error instanceof RepulsorError && (error.code === 'STATE_MISSING' || error.code === 'STATE_DAMAGED');
}

function checkSettings(commit: Commit, config: unknown, free: readonly string[]): void {
  if (commit.configDigest === configDigest(config)) return;
  const differences = differingSettings(JSON.parse(commit.config), config, free);
  if (differences.length === 0) return;
  const list = differences.map(({ path, committed, wanted }) => `${path} was ${committed}, is ${wanted}`).join('; ');
  throw new RepulsorError('STATE_MISMATCH', `the settings do not fit the state of step ${commit.step}: ${list}`, {
    hint: 'Set them back, or begin a new run in another folder.',
  });
}

/** The offsets to read on from must all be there: a gap would be trained over without a word. */
async function checkInputs(inputs: Log, position: StreamPosition): Promise<void> {
  const needed = neededOffsets(position);
  for (const topic of new Set(needed.map((place) => place.topic))) {
    const there = await inputs.partitions(topic);
    const known = needed.filter((place) => place.topic === topic);
    const changed = there.length !== known.length || known.some(({ partition }) => !there.includes(partition));
    if (changed) throw partitionsChanged(topic, known.length, there.length);
    for (const { partition, offset } of known) {
      const { earliest } = await inputs.offsets(topic, partition);
      if (offset < earliest) throw inputTruncated(topic, partition, offset, earliest);
    }
  }
}

function partitionsChanged(topic: string, committed: number, found: number): RepulsorError {
  return new RepulsorError('STATE_MISMATCH', `${topic} has ${found} partitions; the state was made with ${committed}`, {
    hint: 'A run reads a fixed set of partitions. Restore the topic, or begin a new run.',
  });
}

function inputTruncated(topic: string, partition: number, offset: number, earliest: number): RepulsorError {
  return new RepulsorError(
    'STATE_TRUNCATED',
    `${topic}, partition ${partition}: the run goes on at offset ${offset}, but retention left only ${earliest} and later`,
    { hint: 'Restore the records from a backup, or begin a new run; lengthen the retention.' },
  );
}
