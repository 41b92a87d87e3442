import { type CommitEntry, openLineage } from '../checkpoint/commit-history.ts';
import { openStore } from '../checkpoint/open-store.ts';
import { openRunFolder, type RunFolder } from '../checkpoint/run-folder.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { BlobStore } from '../checkpoint/store.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { openLog } from '../log/open-log.ts';
import type { Pipeline } from './pipeline.ts';
import { storedPipeline } from './stored-pipeline.ts';

/** A run as it stands committed, for those who look at it: no take-over, so a trainer at work is not disturbed. */
export interface CommittedRun {
  readonly folder: RunFolder;
  readonly log: Log;
  readonly store: BlobStore;
  readonly newest: CommitEntry;
  readonly pipeline: Pipeline;
}

/**
 * Opens the run in `folder`; the caller closes its log.
 * @throws RepulsorError USAGE when it is no run, STATE_MISSING when it has no commit yet, and what the log throws
 */
export async function openRun(folder: string, logUrl?: string): Promise<CommittedRun> {
  const run = await openRunFolder(folder);
  const log = await openLog(logUrl ?? run.log, { create: false });
  try {
    const topics = await log.topics();
    const { commits } = runTopics(run.run);
    const newest = topics.includes(commits) ? await openLineage(log, commits).at(0) : null;
    if (newest === null)
      throw new RepulsorError('STATE_MISSING', `the run ${run.run} has no commit yet in ${log.url}`, {
        hint: 'train it first; a run that was stopped before its first commit begins anew',
      });
    const pipeline = storedPipeline(newest.commit);
    return { folder: run, log, store: await openStore(run.blobs), newest, pipeline };
  } catch (error) {
    await log.close();
    throw error;
  }
}
