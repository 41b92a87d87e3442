import type { ImageBatchReader } from '../codec/image-batch-reader.ts';
import type { Engine } from '../engine/engine.ts';
import type { Log } from '../log/log.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import { halfNames } from '../trainer/halves.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import type { Probe } from '../trainer/probe.ts';
import type { EvaluationReport } from '../trainer/report.ts';
import { openBlockFeatures } from './block-features.ts';
import type { ImageChunk } from './image-set.ts';
import { measuredImages } from './measured-images.ts';
import { RepresentationThread } from './representation-thread.ts';

export interface ProbeSettings {
  readonly pipeline: Pipeline;
  /** Holds `evaluation.topic`. */
  readonly log: Log;
  /** Default: asks the schema registry of the pipeline, where it names one. */
  readonly read?: ImageBatchReader;
  readonly engine: Engine;
  readonly onReport: (report: EvaluationReport) => void;
  readonly onWarning: (line: string) => void;
}

/**
 * Measures the block's features while a run trains, every `evaluation.everySteps` steps. Beside the steps: the weights are held as
 * they stand, no step waits, and the step's own program is never touched, so that not a bit of the training changes. One measure
 * at a time: a step that falls due while one is under way is left out. What fails is told, and training goes on.
 */
export function openProbe(settings: ProbeSettings): Probe | null {
  const { pipeline, log, engine, onReport, onWarning } = settings;
  const { read = openImageReader(pipeline.source.registry, { onWarning }) } = settings;
  const { everySteps } = pipeline.evaluation;
  if (everySteps === null) return null;
  const thread = new RepresentationThread();
  let opened: Promise<Awaited<ReturnType<typeof openBlockFeatures>> & Pick<ImageChunk, 'labels'>> | null = null;
  let running: Promise<void> | null = null;

  const open = async () => {
    const chunk = await measuredImages(log, pipeline, read, onWarning);
    return { ...(await openBlockFeatures(engine, pipeline, chunk)), labels: chunk.labels };
  };

  return {
    afterStep(step, program) {
      if (step % everySteps !== 0 || running !== null) return;
      // Asked for before the next step is, so it is the state between the two.
      const held = program.snapshot(halfNames('params'));
      running = measure(step, held)
        .catch((error: Error) => onWarning(`step ${step} was not evaluated: ${error.message}`))
        .finally(() => {
          running = null;
        });
    },
    async close() {
      await running;
      await thread.close();
      (await opened?.catch(() => null))?.dispose();
    },
  };

  async function measure(step: number, held: ReturnType<Parameters<Probe['afterStep']>[1]['snapshot']>): Promise<void> {
    const begun = performance.now();
    const snapshot = await held;
    let views: Awaited<ReturnType<Awaited<ReturnType<typeof openBlockFeatures>>['of']>>;
    let labels: ImageChunk['labels'];
    try {
      // Tried anew after a failure: the topic may come later, and the log answer again.
      opened ??= open().catch((error: unknown) => {
        opened = null;
        throw error;
      });
      const features = await opened;
      ({ labels } = features);
      views = await features.of(snapshot.tensors);
    } finally {
      snapshot.release();
    }
    const found = await thread.compute({ ...views, labels, classes: pipeline.model.classes });
    onReport({ step, ...found, images: labels.length, seconds: (performance.now() - begun) / 1000 });
  }
}
