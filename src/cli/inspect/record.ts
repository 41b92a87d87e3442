import type { TrainedRecord } from '../../lineage/lineage-index.ts';
import type { CommittedRun } from '../../trainer/open-run.ts';
import type { View } from '../view.ts';
import { openIndex } from './open-index.ts';

/** The committed steps that a record, or one image of it, trained. */
export async function viewRecord(
  run: CommittedRun,
  record: TrainedRecord,
  note: (line: string) => void,
): Promise<View> {
  const index = await openIndex(run, note);
  try {
    const steps = await index.stepsOf(record);
    const { topic, partition, offset } = record;
    const place = [topic, partition, offset, ...(record.index === undefined ? [] : [record.index])].join('/');
    const known = index.streams.some((stream) => stream.topic === topic && stream.partition === partition);
    const trained = [...new Set(index.streams.map((stream) => `${stream.topic}/${stream.partition}`))].sort();
    const text =
      steps.length === 0
        ? `${place} trained none of the ${index.lastStep} committed steps` +
          (known ? '' : `; what trained them lies in ${trained.join(', ') || 'no topic'}`)
        : [
            `${place} trained ${steps.length} of the ${index.lastStep} committed steps:`,
            ...steps.map(({ step, indices }) => `  step ${step}: image ${indices.join(', ')}`),
          ].join('\n');
    return { found: { run: run.folder.run, record, last_step: index.lastStep, steps }, text };
  } finally {
    await index.close();
  }
}
