import { differingSettings } from '../checkpoint/config-difference.ts';
import type { RestoredState } from '../checkpoint/restore.ts';
import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { StepJournal } from '../codec/records.ts';
import type { Engine, Program } from '../engine/engine.ts';
import { appendRows, negativesOf, type QueueHistory } from '../memory-bank/changelog.ts';
import type { Batch } from '../operators/batch.ts';
import { FREE_SETTINGS } from '../trainer/changed-settings.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import type { StepReport } from '../trainer/report.ts';
import { compileStep, runStep, stateToTrain } from '../trainer/run-step.ts';
import { blobEntries, toBlobs } from '../trainer/state-blobs.ts';
import { stepReport } from '../trainer/step-report.ts';
import { trainLayout } from '../trainer/train-state.ts';
import type { ReplayedStep } from './compare.ts';
import { digestLike } from './recorded-digest.ts';

/** A run's train state while it is trained again: on the device, with its queue on the host beside it. */
export class Retraining {
  readonly queue: QueueHistory | null;
  readonly #engine: Engine;
  #program: Program;
  #pipeline: Pipeline;

  private constructor(engine: Engine, program: Program, pipeline: Pipeline, queue: QueueHistory | null) {
    this.#engine = engine;
    this.#program = program;
    this.#pipeline = pipeline;
    this.queue = queue;
  }

  /** From a committed state, or from the one that the seed gives. The caller disposes it. */
  static async begin(engine: Engine, pipeline: Pipeline, from: RestoredState | null): Promise<Retraining> {
    const { state, queue } = stateToTrain(pipeline, from, engine.room);
    return new Retraining(engine, await compileStep(engine, pipeline, state), pipeline, queue);
  }

  /** The settings of the steps to come: a run may go on with others. Compiles again where the step itself changes. */
  async use(pipeline: Pipeline): Promise<void> {
    const same = differingSettings(this.#pipeline, pipeline, FREE_SETTINGS).length === 0;
    this.#pipeline = pipeline;
    if (same) return;
    const program = await compileStep(this.#engine, pipeline, await this.#program.readState());
    this.#program.dispose();
    this.#program = program;
  }

  async step(
    batch: Pick<Batch, 'images' | 'labels'>,
    { step, archived, batchDigest: recorded }: Pick<StepJournal, 'step' | 'archived' | 'batchDigest'>,
    waitSeconds: number,
  ): Promise<ReplayedStep & { readonly report: StepReport }> {
    const begun = performance.now();
    const { outputs, learningRate, keys, ...made } = await runStep(this.#program, this.#pipeline, batch, step);
    if (this.queue !== null && keys !== null) appendRows(this.queue, negativesOf(step, keys, batch.labels));
    const report = stepReport(
      this.#pipeline,
      outputs,
      {
        step,
        learningRate,
        samples: batch.labels.length,
        archived: archived.length,
        streamShift: null,
        stepSeconds: (performance.now() - begun) / 1000,
        waitSeconds,
      },
      Math.min(this.queue?.count ?? 0, this.queue?.capacity ?? 0),
    );
    return { terms: report.terms, keys, batchDigest: digestLike(recorded, batch, made.batchDigest), report };
  }

  /** What a commit now would store as blobs. */
  async blobs(): Promise<StateBlobs> {
    const state = await this.#program.readState(blobEntries(this.#pipeline));
    return toBlobs(state, trainLayout(this.#pipeline));
  }

  dispose(): void {
    this.#program.dispose();
  }
}
