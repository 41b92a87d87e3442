import { openLineage } from '../../checkpoint/commit-history.ts';
import { keptCommits } from '../../checkpoint/kept-commits.ts';
import { restore } from '../../checkpoint/restore.ts';
import { runTopics } from '../../checkpoint/run-id.ts';
import { verifyRun } from '../../checkpoint/verify.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';
import type { View } from './views.ts';

/**
 * Reads all of the run that is there and checks every digest: commits, journal, and the blobs and queue of every commit
 * that is still whole. @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED naming the first that is wrong
 */
export async function viewVerification(
  { folder: { run }, log, store }: CommittedRun,
  note: (line: string) => void,
): Promise<View> {
  const { commits: topic } = runTopics(run);
  note('reading every commit and the whole journal');
  const { commits, lineage, steps } = await verifyRun({ log, store, run }, 1);
  const kept = await keptCommits(log, topic, store);
  for (const [index, { step, offset }] of kept.entries()) {
    note(`restoring step ${step} (${index + 1} of ${kept.length})`);
    await restore({ log, store, run, lineage: openLineage(log, topic, offset + 1) }, 0);
  }
  const states = kept.map(({ step }) => step);
  const found = { run, ok: true, commits, lineage, steps, states };
  return {
    found,
    text:
      `whole: ${commits} commits (${lineage} in the lineage, ${commits - lineage} given up by fallbacks), ` +
      `${steps} journaled steps, every digest as written; states restored whole: ${states.join(', ')}`,
  };
}
