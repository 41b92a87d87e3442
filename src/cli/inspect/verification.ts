import { verifyRun } from '../../checkpoint/verify.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';
import type { View } from '../view.ts';

/**
 * Reads all of the run that is there and checks every digest.
 * @throws RepulsorError STATE_MISSING, STATE_DAMAGED, STATE_TRUNCATED naming the first that is wrong
 */
export async function viewVerification(
  { folder: { run }, log, store }: CommittedRun,
  note: (line: string) => void,
): Promise<View> {
  note('reading every commit and the whole journal');
  const verified = await verifyRun({ log, store, run }, (step) => note(`restoring step ${step}`));
  const { commits, lineage, steps, states } = verified;
  return {
    found: { run, ok: true, ...verified },
    text:
      `whole: ${commits} commits (${lineage} in the lineage, ${commits - lineage} given up by fallbacks), ` +
      `${steps} journaled steps, every digest as written; states restored whole: ${states.join(', ')}`,
  };
}
