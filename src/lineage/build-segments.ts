import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { ZERO_DIGEST } from '../checkpoint/digest.ts';
import { readRanges } from '../checkpoint/read-journal.ts';
import type { Log } from '../log/log.ts';
import type { NewCommit } from './new-commits.ts';
import { PostingBuffer } from './posting-buffer.ts';
import type { SegmentFooter } from './segment-format.ts';
import { SegmentWriter } from './segment-writer.ts';

/** Postings held in memory until they are written as a segment (about 100 bytes each at most). */
const BUFFERED_POSTINGS = 1_000_000;

/** Where the index stands before the commits to come. */
export type Head = Pick<SegmentFooter, 'lastStep' | 'headDigest'> & { readonly journalDigest: Uint8Array };

export const BEGINNING: Head = { lastStep: 0, headDigest: ZERO_DIGEST, journalDigest: ZERO_DIGEST };

/**
 * Reads the journal of `commits` and writes it as segments of some hundred thousand postings, each of whole commits. The
 * name of each is given when it is durable; every entry in it was checked against the commits' digests before.
 * @throws RepulsorError STATE_TRUNCATED, STATE_DAMAGED for what is wrong in the log
 */
export async function* buildSegments(
  folder: string,
  from: { readonly log: Log; readonly journal: string },
  commits: readonly NewCommit[],
  after: Head,
  onStep: (step: number) => void,
  mostPostings = BUFFERED_POSTINGS,
): AsyncGenerator<string> {
  let head = after;
  let postings = new PostingBuffer();
  let pending: NewCommit[] = [];
  const begin = { step: after.lastStep, digest: after.journalDigest };
  for await (const { commit, entry } of readRanges(from.log, from.journal, commits, begin)) {
    if (entry !== null) {
      postings.add(entry);
      onStep(entry.step);
      continue;
    }
    pending.push(commit);
    if (postings.size < mostPostings && commit !== commits.at(-1)) continue;
    yield await writeSegment(folder, head, pending, postings);
    head = { lastStep: commit.step, headDigest: commit.digest, journalDigest: commit.journalDigest };
    postings = new PostingBuffer();
    pending = [];
  }
}

async function writeSegment(
  folder: string,
  after: Head,
  commits: readonly NewCommit[],
  postings: PostingBuffer,
): Promise<string> {
  const name = `${randomUUID()}.segment`;
  const writer = await SegmentWriter.create(join(folder, name), postings.streams());
  try {
    for (const commit of commits) {
      writer.addCommit(commit);
      if (writer.due) await writer.flush();
    }
    await postings.writeTo(writer);
    const last = commits.at(-1)!;
    await writer.finish({
      afterStep: after.lastStep,
      afterDigest: after.headDigest,
      afterJournal: after.journalDigest,
      lastStep: last.step,
      headOffset: last.offset,
      headDigest: last.digest,
    });
  } catch (error) {
    await writer.close().catch(() => undefined);
    throw error;
  }
  return name;
}
