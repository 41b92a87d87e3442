import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lineageBackwards } from '../checkpoint/commit-history.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import { hasCode, RepulsorError } from '../errors.ts';
import { isCode, makeFolder, removeIfThere, syncFolder } from '../files/durable-file.ts';
import { lockWriter, type WriterLock } from '../files/writer-lock.ts';
import type { Log } from '../log/log.ts';
import { BEGINNING, buildSegments, type Head } from './build-segments.ts';
import { isSegmentName, readManifest, writeManifest } from './manifest.ts';
import { mergeSegments } from './merge-segments.ts';
import { type Comparison, compareWithLineage } from './new-commits.ts';
import { IndexDamaged, SegmentReader } from './segment-reader.ts';

export interface IndexSettings {
  /** The index's own folder. */
  readonly folder: string;
  readonly log: Log;
  readonly run: string;
  /** Told while steps are read, now and then. */
  readonly onProgress?: (done: { readonly steps: number; readonly of: number }) => void;
  /** Postings in memory while building. */
  readonly mostPostings?: number;
}

/** So many segments of one size class become one of the next: a query looks into few, and each posting is copied seldom. */
const FAN_IN = 8;
/** How long another process that is building is waited for. */
const PATIENCE_MS = 600_000;

/**
 * The run's segments, brought up to date with the log; the caller closes them. What is there is used as far as it is
 * right; the rest is built from the journal, by one process at a time.
 * @throws RepulsorError STATE_TRUNCATED, STATE_DAMAGED, LOG_LOCKED, STORE_FAILED
 */
export async function updatedSegments(settings: IndexSettings): Promise<SegmentReader[]> {
  const { folder } = settings;
  const found = await openIfCurrent(settings);
  if (found !== null) return found;
  let lock: WriterLock;
  try {
    await makeFolder(folder);
    lock = await waitForLock(folder);
  } catch (cause) {
    throw cause instanceof RepulsorError ? cause : notWritable(folder, cause);
  }
  try {
    try {
      await build(settings);
      return await openNamed(settings);
    } catch (error) {
      if (!(error instanceof IndexDamaged)) throw error;
      await removeIfThere(join(folder, 'index.json'));
      await build(settings);
      return await openNamed(settings);
    }
  } catch (cause) {
    throw isSystemError(cause) ? notWritable(folder, cause) : cause;
  } finally {
    await lock.release();
  }
}

/** Null when there is something to build. Another process may replace files between two looks: then it looks again. */
async function openIfCurrent(settings: IndexSettings): Promise<SegmentReader[] | null> {
  for (let attempt = 0; attempt < 3; attempt++) {
    let segments: SegmentReader[];
    try {
      segments = await openNamed(settings);
    } catch (error) {
      if (error instanceof IndexDamaged || isCode(error, 'ENOENT')) continue;
      throw error;
    }
    const { valid, missing } = await compare(settings, segments);
    if (valid === segments.length && missing.length === 0) return segments;
    await closeAll(segments);
    return null;
  }
  return null;
}

async function openNamed({ folder, run }: IndexSettings): Promise<SegmentReader[]> {
  const segments: SegmentReader[] = [];
  try {
    for (const name of (await readManifest(folder, run)) ?? [])
      segments.push(await SegmentReader.open(join(folder, name)));
    return segments;
  } catch (error) {
    await closeAll(segments);
    throw error;
  }
}

export async function closeAll(segments: readonly SegmentReader[]): Promise<void> {
  for (const segment of segments) await segment.close();
}

function compare({ log, run }: IndexSettings, segments: readonly SegmentReader[]): Promise<Comparison> {
  const footers = segments.map(({ footer }) => footer);
  return compareWithLineage(footers, lineageBackwards(log, runTopics(run).commits));
}

async function waitForLock(folder: string): Promise<WriterLock> {
  const begun = performance.now();
  for (;;) {
    try {
      return await lockWriter(folder, `the lineage index ${folder}`);
    } catch (error) {
      if (!hasCode(error, 'LOG_LOCKED') || performance.now() - begun > PATIENCE_MS) throw error;
      await sleep(100);
    }
  }
}

/** Holding the lock: adds what is missing, a segment at a time, each kept if the process ends after it. */
async function build(settings: IndexSettings): Promise<void> {
  const { folder, log, run } = settings;
  let segments: SegmentReader[] = [];
  try {
    segments = await openNamed(settings);
  } catch (error) {
    if (!(error instanceof IndexDamaged) && !isCode(error, 'ENOENT')) throw error;
  }
  try {
    const { valid, missing } = await compare(settings, segments);
    await closeAll(segments.splice(valid));
    const names = () => segments.map(({ path }) => path.slice(folder.length + 1));
    await removeUnnamed(folder, names());
    const total = missing.at(-1)?.step ?? 0;
    const first = segments.at(-1)?.footer.lastStep ?? 0;
    const onStep = (step: number) => {
      if (step % 1000 === 0) settings.onProgress?.({ steps: step - first, of: total - first });
    };
    const from = { log, journal: runTopics(run).journal };
    const built = buildSegments(folder, from, missing, await headOf(segments), onStep, settings.mostPostings);
    for await (const name of built) {
      segments.push(await SegmentReader.open(join(folder, name)));
      await mergeAlike(folder, segments);
      await syncFolder(folder);
      await writeManifest(folder, run, names());
      await removeUnnamed(folder, names());
    }
    // A fallback to a commit that the index has leaves nothing to build, but segments to forget.
    if (missing.length === 0) await writeManifest(folder, run, names());
  } finally {
    await closeAll(segments);
  }
}

async function headOf(segments: readonly SegmentReader[]): Promise<Head> {
  const last = segments.at(-1);
  if (last === undefined) return BEGINNING;
  const { lastStep, headDigest, commits } = last.footer;
  return { lastStep, headDigest, journalDigest: (await last.commit(commits - 1)).journalDigest };
}

/** Merges the last segments while there are enough of one class. */
async function mergeAlike(folder: string, segments: SegmentReader[]): Promise<void> {
  for (;;) {
    const newest = sizeClass(segments.at(-1)!);
    const others = segments.findLastIndex((segment) => sizeClass(segment) > newest);
    const alike = segments.slice(others + 1);
    if (alike.length < FAN_IN) return;
    const path = join(folder, `${randomUUID()}.segment`);
    await mergeSegments(alike, path);
    segments.push(await SegmentReader.open(path));
    await closeAll(segments.splice(others + 1, alike.length));
  }
}

const sizeClass = ({ footer }: SegmentReader): number =>
  Math.floor(Math.log(Math.max(1, footer.postings)) / Math.log(FAN_IN));

/** Files that a build which was killed, or a merge, left behind. Readers hold theirs open, and look again otherwise. */
async function removeUnnamed(folder: string, names: readonly string[]): Promise<void> {
  for (const name of await readdir(folder))
    if (isSegmentName(name) && !names.includes(name)) await removeIfThere(join(folder, name));
}

const isSystemError = (error: unknown): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).syscall !== undefined;

function notWritable(folder: string, cause: unknown): RepulsorError {
  return new RepulsorError(
    'STORE_FAILED',
    `the lineage index in ${folder} cannot be built: ${(cause as Error).message}`,
    {
      hint: 'Check that the run folder is writable and its disk has room.',
      cause,
    },
  );
}
