import { findRunFolder } from '../checkpoint/run-folder.ts';
import { parseSince } from '../operators/since.ts';
import type { Beginning } from '../trainer/beginning.ts';
import { type CommittedRun, openRun } from '../trainer/open-run.ts';

/**
 * What `--from RUN[@STEP]` and `--since` ask for; null when neither was given. Nothing is opened before it is needed: a run
 * that has begun needs its origin no more. @throws RepulsorError USAGE
 */
export async function beginningOf({
  from,
  since,
}: {
  readonly from?: string;
  readonly since?: string;
}): Promise<{ readonly beginning: Beginning; close(): Promise<void> } | null> {
  if (from === undefined && since === undefined) return null;
  let opened: CommittedRun | null = null;
  const [, folder = '', step] = /^(.*?)(?:@(\d+))?$/s.exec(from ?? '') ?? [];
  const origin = {
    run: from === undefined ? null : ((await findRunFolder(folder))?.run ?? null),
    step: step === undefined ? null : Number(step),
    async open() {
      opened ??= await openRun(folder);
      const { log, store } = opened;
      return { log, store, run: opened.folder.run };
    },
  };
  return {
    beginning: {
      from: from === undefined ? null : origin,
      since: since === undefined ? null : parseSince(since),
    },
    async close() {
      await opened?.log.close();
    },
  };
}
