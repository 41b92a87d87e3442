import { join } from 'node:path';
import { folderWitness } from '../checkpoint/commit-witness.ts';
import { openStore } from '../checkpoint/open-store.ts';
import type { Commit } from '../codec/records.ts';
import { openEngine } from '../engine/choose.ts';
import type { EngineWish } from '../engine/engine.ts';
import { EXIT } from '../errors.ts';
import { representationForMachines } from '../evaluation/representation.ts';
import { openProbe } from '../evaluation/representation-probe.ts';
import { openLog } from '../log/open-log.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { startMetricsServer } from '../metrics/server.ts';
import { openImageReader } from '../registry/open-image-reader.ts';
import { drawGrid } from '../sampling/draw.ts';
import { demandPrecision } from '../trainer/demand-precision.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import type { EvaluationReport, RepulsionReport } from '../trainer/report.ts';
import { train } from '../trainer/trainer.ts';
import { trainingLanes } from '../trainer/training-lanes.ts';
import { beginningOf } from './beginning-of.ts';
import type { Console } from './console.ts';
import { fillTopic } from './fill-topic.ts';
import { interruption } from './interruption.ts';
import { openOrCreateRun } from './open-or-create-run.ts';
import { stepProgress } from './step-progress.ts';

export interface TrainingOptions {
  readonly run?: string;
  readonly engine: EngineWish;
  readonly threads?: number;
  readonly fallback?: boolean;
  readonly forcePrecision?: boolean;
  /** RUN or RUN@STEP. */
  readonly from?: string;
  readonly since?: string;
}

/** What `repulsor train` does with its settings: fills the topic, trains, serves metrics, draws. Returns the exit status. */
export async function runTraining(pipeline: Pipeline, options: TrainingOptions, console: Console): Promise<number> {
  const folder = options.run ?? join('runs', pipeline.name);
  const asked = await beginningOf(options);
  const { engine, message, fellBack } = await openEngine({
    name: options.engine,
    lanes: trainingLanes(pipeline),
    ...(options.threads !== undefined && { threads: options.threads }),
  });
  (fellBack ? console.warn : console.note)(message);
  demandPrecision(pipeline, engine, options.forcePrecision ?? false);
  const log = await openLog(pipeline.log);
  // Lines for people go above the progress display while it stands, or the next redraw would wipe them out.
  let note = console.note;
  const interrupt = interruption(
    'stopping after this step, with a commit (once more ends at once, and loses what is not committed)',
    (line) => note(line),
  );
  try {
    await fillTopic(log, pipeline, console);
    const described = await openOrCreateRun(folder, log, pipeline);
    const metrics = createMetrics({ run: described.run, engine });
    const { host, port } = pipeline.metrics;
    const server = await startMetricsServer({
      registry: metrics.registry,
      host,
      ...(port !== null && { port }),
      note: console.warn,
    });
    const progress = stepProgress(console, pipeline.steps, true);
    note = progress.note;
    const warn = (line: string) => (console.json ? console.warn(line) : progress.note(`warning: ${line}`));
    let evaluation: EvaluationReport | null = null;
    const read = openImageReader(pipeline.source.registry, {
      ...{ run: folder, keep: true, onWarning: warn, signal: interrupt.signal },
    });
    const probe = openProbe({
      ...{ pipeline, log, read, engine, onWarning: warn },
      onReport: (report) => {
        evaluation = report;
        metrics.onEvaluation(report);
      },
    });
    try {
      const result = await train({
        pipeline,
        log,
        store: await openStore(described.blobs),
        witness: folderWitness(folder),
        run: described.run,
        engine,
        read,
        signal: interrupt.signal,
        fallback: options.fallback ?? false,
        ...(probe !== null && { probe }),
        ...(asked !== null && { beginning: asked.beginning }),
        observer: {
          ...metrics,
          onStart(commit) {
            metrics.restore({
              step: commit?.step ?? 0,
              samples: commit?.position.samples ?? 0,
              generation: commit?.generation ?? 0,
              ageSeconds: commit && (Date.now() - commit.time) / 1000,
            });
            progress.note(`run ${described.run} in ${folder}: ${howItStarts(commit)}; metrics at ${server.url}`);
            if (commit !== null && pipeline.steps !== null && commit.step >= pipeline.steps)
              warn(`its ${pipeline.steps} steps are done: give more with --steps, or begin a new run with --run`);
          },
          onStep(report) {
            metrics.onStep(report);
            progress.onStep(report);
          },
          onCommit(report) {
            metrics.onCommit(report);
            progress.onCommit(report);
          },
          onCommitFailure(error) {
            metrics.onCommitFailure();
            warn(`a commit failed and is tried again: ${error.message}`);
          },
          onWarning: warn,
        },
      });
      progress.end();
      const interrupted = result.ended === 'interrupted';
      const grid =
        interrupted || !isDrawn(pipeline)
          ? null
          : await drawSamples(engine, pipeline, result.ema, join(folder, `samples-${result.step}.png`), console);
      console.result(
        {
          run: described.run,
          folder,
          ended: result.ended,
          steps: result.step,
          steps_here: result.stepsHere,
          loss: result.report?.terms ?? null,
          repulsion: result.report?.repulsion ? spreadForMachines(result.report.repulsion) : null,
          samples: result.samplesHere,
          images_per_second: result.samplesPerSecond,
          engine: engine.name,
          engine_version: engine.version,
          grid,
          evaluation: evaluation && evaluationForMachines(evaluation),
        },
        interrupted
          ? `interrupted after step ${result.step}, all committed; the same command goes on from there`
          : `${result.step} steps done, all committed${grid === null ? '' : `; samples: ${grid}`}`,
      );
      console.note(`next: npx repulsor inspect ${folder}, or replay ${folder} (trains it again, compares every step)`);
      return interrupted ? EXIT.interrupted : EXIT.done;
    } finally {
      progress.end();
      await server.close();
    }
  } finally {
    interrupt.restore();
    await asked?.close();
    await log.close();
    engine.dispose();
  }
}

/** Of the last step; of several blocks the worst in each respect. */
function spreadForMachines(report: RepulsionReport) {
  return {
    pair_distance: report.pairDistance,
    uniformity: report.uniformity,
    shift: report.shift,
    similarity: report.similarity,
    drift: report.positiveDistance === null ? report.drift : null,
    positive_distance: report.positiveDistance,
    queue_rows: report.queueFill,
    queue_age_max: report.ageMax,
  };
}

function evaluationForMachines(report: EvaluationReport) {
  const { step, images, seconds } = report;
  return { step, ...representationForMachines(report), images, seconds };
}

function howItStarts(commit: Commit | null): string {
  if (commit === null) return 'begins';
  if (commit.step > 0) return `goes on after step ${commit.step}`;
  const { origin, since } = commit;
  const from = origin === null ? '' : ` with ${origin.carried.join(', ')} of ${origin.run}@${origin.step}`;
  return `begins${from}${since === null ? '' : `, at ${since} of its topic`}`;
}

/** Latents are no picture without their decoder. */
function isDrawn({ sampling, model }: Pipeline): boolean {
  return sampling.perLabel > 0 && [1, 3].includes(model.input[2]);
}

async function drawSamples(
  engine: Parameters<typeof drawGrid>[0],
  pipeline: Pipeline,
  ema: Parameters<typeof drawGrid>[2],
  out: string,
  console: Console,
): Promise<string> {
  console.note('drawing samples');
  await drawGrid(engine, pipeline, ema, out);
  return out;
}
