import { join } from 'node:path';
import { type LineageIndex, openLineageIndex } from '../../lineage/lineage-index.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';

const EVERY_MS = 2_000;

/** The lineage index of a run, in its folder. The first time the whole journal is read, which people see. */
export function openIndex({ folder, log }: CommittedRun, note: (line: string) => void): Promise<LineageIndex> {
  const begun = performance.now();
  let told = begun;
  return openLineageIndex({
    folder: join(folder.folder, 'lineage'),
    log,
    run: folder.run,
    onProgress({ steps, of }) {
      const now = performance.now();
      if (now - told < EVERY_MS) return;
      told = now;
      const left = Math.round((((now - begun) / steps) * (of - steps)) / 1000);
      note(`indexing the journal: ${steps} of ${of} steps, about ${left} s left (only what is new, the next time)`);
    },
  });
}
