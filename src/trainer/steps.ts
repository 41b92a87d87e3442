import type { Program } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import type { Batch } from '../operators/batch.ts';
import type { StreamPosition } from '../operators/position.ts';
import type { Commits, Held } from './commits.ts';
import type { Input } from './input.ts';
import { inputFeatures } from './input-features.ts';
import type { Pipeline } from './pipeline.ts';
import type { Probe } from './probe.ts';
import type { StepReport } from './report.ts';
import { runStep, type StepOutputs } from './run-step.ts';
import { stepReport } from './step-report.ts';
import { StreamShift } from './stream-shift.ts';
import type { Uncommitted } from './uncommitted.ts';

export interface StepsSettings {
  readonly pipeline: Pipeline;
  readonly program: Program;
  readonly input: Input;
  readonly commits: Commits;
  readonly uncommitted: Uncommitted;
  /** What is committed. */
  readonly from: { readonly step: number; readonly position: StreamPosition | null };
  readonly signal: AbortSignal;
  readonly onStep: (report: StepReport) => void;
  readonly probe?: Probe;
}

export interface StepsResult {
  readonly ended: 'steps' | 'topic' | 'interrupted';
  readonly step: number;
  /** After the last step, or past the topic's end; null before any. */
  readonly position: StreamPosition | null;
  /** The last step's; null when none was made. */
  readonly report: StepReport | null;
  readonly samples: number;
  /** From the end of the first step to the end of the last. */
  readonly seconds: number;
}

/** A step that is over, and not told yet. */
interface Over extends StepOutputs {
  readonly step: number;
  readonly batch: Batch;
  readonly stepSeconds: number;
  readonly waitSeconds: number;
}

/**
 * The steps, one after the other, on the batches as they come. While a step runs, the next batch is fetched and the step before
 * is told: checked, put into the journal, reported. Between two steps nothing is done but to hand over the next batch.
 * Where a commit is due the state is held in between, by the engine's own order.
 * @throws RepulsorError DIVERGED, and what input, commits and engine throw
 */
export async function runSteps(settings: StepsSettings): Promise<StepsResult> {
  const { pipeline, program, input, commits, signal } = settings;
  let { step, position } = settings.from;
  let over: Over | null = null;
  let report: StepReport | null = null;
  let samples = 0;
  let begun = Number.NaN;
  let ended: StepsResult['ended'] = 'steps';
  const stream = new StreamShift();
  const isLast = () => pipeline.steps !== null && step >= pipeline.steps;
  const fetch = () => arriving(input.next(signal));

  /** Tells of the step that is over, where there is one, and begins the commit that waits for it. */
  const tell = (held: Held | null): void => {
    try {
      if (over !== null) {
        report = told(over, stream, settings);
        input.reuse(over.batch);
      }
      over = null;
    } catch (error) {
      held?.release();
      throw error;
    }
    held?.commit();
  };

  let next = isLast() ? null : fetch();
  let idleSince = performance.now();
  while (next !== null) {
    if (signal.aborted) {
      ended = 'interrupted';
      break;
    }
    const standing = position && { step, position };
    let batch = next.value;
    if (batch === undefined) {
      // The source is slower than the steps: there is time for all the rest.
      tell(standing && commits.holdIfDue(standing));
      batch = await commits.during(next.promise, standing);
    }
    if (batch === null) {
      ended = signal.aborted ? 'interrupted' : 'topic';
      break;
    }
    const got = performance.now();
    const held = standing && commits.holdIfDue(standing);
    step++;
    const running = runStep(program, pipeline, batch, step);
    running.catch(() => {}); // Heard below, unless the step before turns out to have diverged.
    tell(held);
    next = isLast() ? null : fetch();
    const outputs = await running;
    const done = performance.now();
    settings.probe?.afterStep(step, program);
    over = {
      ...outputs,
      step,
      batch,
      stepSeconds: (done - Math.max(got, held?.heldAt ?? got)) / 1000,
      waitSeconds: (got - idleSince) / 1000,
    };
    idleSince = done;
    position = batch.position;
    samples += batch.size;
    if (Number.isNaN(begun)) begun = done;
  }
  tell(null);
  if (ended === 'topic') position = input.ended(position);
  return { ended, step, position, report, samples, seconds: samples === 0 ? 0 : (idleSince - begun) / 1000 };
}

/** A promise, and its value once it has arrived. Its rejection is whoever's who awaits the promise. */
function arriving<T>(promise: Promise<T>): { readonly promise: Promise<T>; readonly value: T | undefined } {
  const state: { promise: Promise<T>; value: T | undefined } = { promise, value: undefined };
  promise.then(
    (value) => {
      state.value = value;
    },
    () => {},
  );
  return state;
}

/** Checks the step, puts it into the journal and reports it. @throws RepulsorError DIVERGED */
function told(over: Over, stream: StreamShift, { pipeline, uncommitted, onStep }: StepsSettings): StepReport {
  const { step, learningRate, stepSeconds, waitSeconds, batch, outputs, keys, batchDigest } = over;
  const queueFill = Math.min((uncommitted.queueCount ?? 0) + batch.size, pipeline.losses.repulsion?.queue ?? 0);
  const features = inputFeatures(batch, pipeline.model.input);
  const streamShift = features && stream.observe(features);
  const counts = { samples: batch.size, archived: batch.archived.length };
  const about = { step, learningRate, ...counts, streamShift, stepSeconds, waitSeconds };
  const report = stepReport(pipeline, outputs, about, queueFill);
  if (!allFinite(report)) throw diverged(report);
  const { ids, archived, labels } = batch;
  uncommitted.add({ step, samples: ids, archived, labels, terms: report.terms, keys, batchDigest });
  onStep(report);
  return report;
}

/** Weights that are no numbers must never be committed: a finite loss may come with a gradient that is not. */
function allFinite({ terms, gradientNorm, parameterNorm }: StepReport): boolean {
  return [terms['total'], gradientNorm, parameterNorm].every(Number.isFinite);
}

function diverged({ step, terms, gradientNorm, parameterNorm }: StepReport): RepulsorError {
  const values = Object.entries({ ...terms, 'gradient norm': gradientNorm, 'parameter norm': parameterNorm });
  const list = values.map(([name, value]) => `${name} ${value}`).join(', ');
  return new RepulsorError('DIVERGED', `step ${step} came to numbers that are not finite: ${list}`, {
    hint: 'the last commit stands; go on from it with a lower optimizer.learningRate or a limit in optimizer.clip',
  });
}
