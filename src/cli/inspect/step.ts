import { samplesOf } from '../../checkpoint/journal.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';
import { hex, type View } from '../view.ts';
import { openIndex } from './open-index.ts';

/** The records that trained a step, and what came out, checked against the commit that holds it. */
export async function viewStep(run: CommittedRun, step: number, note: (line: string) => void): Promise<View> {
  const index = await openIndex(run, note);
  try {
    const { entry, commit } = await index.step(step);
    const samples = samplesOf(entry);
    const found = {
      run: run.folder.run,
      step,
      commit: { step: commit.step, generation: commit.generation, committed: new Date(commit.time).toISOString() },
      terms: entry.terms,
      samples,
      archived: entry.archived,
      keys_digest: hex(entry.keysDigest),
      batch_digest: entry.batchDigest === null ? null : hex(entry.batchDigest),
      digest: hex(entry.digest),
    };
    const again = new Set(entry.archived);
    const terms = Object.entries(entry.terms).map(([name, value]) => `${name} ${value}`);
    const text = [
      `step ${step} of ${found.run}, in commit ${commit.generation} (step ${commit.step}, ${found.commit.committed})`,
      `terms    ${terms.join(', ')}`,
      `digest   ${found.digest}`,
      `keys     ${found.keys_digest}`,
      `batch    ${found.batch_digest ?? 'not recorded'}`,
      `${samples.length} images:`,
      ...samples.map(({ topic, partition, offset, index: image }, i) => {
        return `  ${topic}/${partition}/${offset}/${image}${again.has(i) ? '  from the archive' : ''}`;
      }),
    ];
    return { found, text: text.join('\n') };
  } finally {
    await index.close();
  }
}
