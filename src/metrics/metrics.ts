import { type Counter, Registry } from 'prom-client';
import type { Engine } from '../engine/engine.ts';
import type { Headroom } from '../trainer/headroom.ts';
import type { CommitReport, EvaluationReport, RepulsionReport, StepReport } from '../trainer/report.ts';
import { VERSION } from '../version.ts';
import { boundedLabels } from './bounded-labels.ts';
import { defineMetrics } from './definitions.ts';

/** What may become of an input record. */
const RECORD_OUTCOMES = ['decoded', 'skipped', 'dead_letter'] as const;
export type RecordOutcome = (typeof RECORD_OUTCOMES)[number];

/** Most series of one metric: partitions of a wide topic, loss terms, reasons. */
const SERIES_LIMIT = { partitions: 1024, terms: 32, reasons: 32 } as const;

export interface Metrics {
  /** Holds the metrics of definitions.ts and no others. */
  readonly registry: Registry;
  /**
   * The committed state this process goes on from; zeros for a new run. Once, before the first scrape: until then the
   * committed counters have no series, so Prometheus never sees them start at 0 and jump.
   */
  restore(committed: {
    readonly step: number;
    readonly samples: number;
    readonly generation: number;
    /** How old the commit is; null without one. So the age goes on over restarts, and a crash loop raises the alert. */
    readonly ageSeconds: number | null;
  }): void;
  onStep(report: StepReport): void;
  onCommit(report: CommitReport): void;
  onCommitFailure(): void;
  onEvaluation(report: EvaluationReport): void;
  onRecords(outcome: RecordOutcome, count: number): void;
  /** `reason`: a short fixed word; anything else counts as "other". */
  onDeadLetter(reason: string): void;
  /** `seconds`: null where it is not known. */
  onLag(topic: string, partition: number, records: number, seconds: number | null): void;
  onHeadroom(headroom: Headroom): void;
}

export interface MetricsOptions {
  readonly run: string;
  readonly engine: Pick<Engine, 'name' | 'device' | 'version'>;
  /** Seconds on a clock that never goes back. */
  readonly now?: () => number;
}

/** Creates the metrics of one run on a registry of their own. NaN and infinite terms and norms are shown as they are. */
export function createMetrics({ run, engine, now = () => performance.now() / 1000 }: MetricsOptions): Metrics {
  const registry = new Registry();
  const metrics = defineMetrics(registry);
  const partitions = boundedLabels(SERIES_LIMIT.partitions);
  const terms = boundedLabels(SERIES_LIMIT.terms);
  const reasons = boundedLabels(SERIES_LIMIT.reasons);
  const labels = { run };
  let committedAt = now();

  metrics.info.set({ run, engine: engine.name, device: engine.device, library: engine.version, version: VERSION }, 1);
  metrics.memory.collect = () => metrics.memory.set(labels, process.memoryUsage.rss());
  metrics.commitAge.collect = () => metrics.commitAge.set(labels, now() - committedAt);
  // Events whose first occurrence must show as a rise, not as a new series.
  for (const outcome of RECORD_OUTCOMES) metrics.records.inc({ run, outcome }, 0);
  for (const zero of [metrics.refused, metrics.commitFailures, metrics.commitStall, metrics.commitBytes])
    zero.inc(labels, 0);
  metrics.stepDuration.zero(labels);
  metrics.commitDuration.zero(labels);

  const committed = (step: number, samples: number, generation: number) => {
    moveTo(metrics.committedSteps, labels, step);
    moveTo(metrics.committedSamples, labels, samples);
    metrics.commitGeneration.set(labels, generation);
  };
  const setRepulsion = (report: RepulsionReport) => {
    metrics.queueFill.set(labels, report.queueFill);
    metrics.queueCapacity.set(labels, report.queueCapacity);
    metrics.queueAgeMax.set(labels, report.ageMax);
    metrics.queueAgeMean.set(labels, report.ageMean);
    for (const { block, drift, positiveDistance, shift, similarity, pairDistance, uniformity } of report.blocks) {
      const of = { run, block: String(block) };
      metrics.drift.set(of, drift);
      if (positiveDistance !== null) metrics.positiveDistance.set(of, positiveDistance);
      metrics.shift.set(of, shift);
      metrics.similarity.set(of, similarity);
      metrics.pairDistance.set(of, pairDistance);
      metrics.uniformity.set(of, uniformity);
    }
  };

  return {
    registry,
    restore({ step, samples, generation, ageSeconds }) {
      committedAt = now() - Math.max(0, ageSeconds ?? 0);
      metrics.step.set(labels, step);
      committed(step, samples, generation);
    },
    onStep(report) {
      metrics.step.set(labels, report.step);
      for (const [term, value] of Object.entries(report.terms)) {
        if (terms.admits(term)) metrics.loss.set({ run, term }, value);
        else metrics.refused.inc(labels);
      }
      metrics.gradientNorm.set(labels, report.gradientNorm);
      metrics.parameterNorm.set(labels, report.parameterNorm);
      metrics.learningRate.set(labels, report.learningRate);
      metrics.stepDuration.observe(labels, report.stepSeconds);
      metrics.dataWait.inc(labels, report.waitSeconds);
      metrics.processedSamples.inc(labels, report.samples);
      metrics.archivedSamples.inc(labels, report.archived);
      if (report.streamShift !== null) metrics.streamShift.set(labels, report.streamShift);
      const seconds = report.stepSeconds + report.waitSeconds;
      if (seconds > 0) {
        metrics.samplesPerSecond.set(labels, report.samples / seconds);
        metrics.dataWaitRatio.set(labels, report.waitSeconds / seconds);
      }
      if (report.repulsion !== null) setRepulsion(report.repulsion);
    },
    onCommit(report) {
      committedAt = now();
      committed(report.step, report.samples, report.generation);
      metrics.commitDuration.observe(labels, report.seconds);
      metrics.commitStall.inc(labels, report.stallSeconds);
      metrics.commitBytes.inc(labels, report.bytesWritten);
    },
    onCommitFailure: () => metrics.commitFailures.inc(labels),
    onEvaluation(report) {
      metrics.evaluatedStep.set(labels, report.step);
      metrics.evaluatedAlignment.set(labels, report.alignment);
      metrics.evaluatedUniformity.set(labels, report.uniformity);
      metrics.evaluatedRank.set(labels, report.effectiveRank);
      metrics.evaluationDuration.set(labels, report.seconds);
      for (const [probe, share] of [
        ['knn', report.knnAccuracy],
        ['linear', report.linearProbe],
      ] as const)
        if (share !== null) metrics.evaluatedAccuracy.set({ run, probe }, share);
    },
    onRecords: (outcome, count) => metrics.records.inc({ run, outcome }, count),
    onDeadLetter(reason) {
      const known = /^[a-z][a-z0-9_-]{0,63}$/.test(reason) && reasons.admits(reason);
      metrics.deadLetters.inc({ run, reason: known ? reason : 'other' });
    },
    onHeadroom({ topic, partition, need, records, seconds, bytes, share }) {
      if (!partitions.admits(`${partition} ${topic}`)) return metrics.refused.inc(labels);
      const where = { run, topic, partition: String(partition), need };
      metrics.retentionHeadroom.set(where, records);
      metrics.retentionRatio.set(where, share);
      // A limit that was lifted leaves no series behind.
      for (const [metric, value] of [
        [metrics.retentionSeconds, seconds],
        [metrics.retentionBytes, bytes],
      ] as const)
        if (value === null) metric.remove(where);
        else metric.set(where, value);
    },
    onLag(topic, partition, records, seconds) {
      if (!partitions.admits(`${partition} ${topic}`)) return metrics.refused.inc(labels);
      const where = { run, topic, partition: String(partition) };
      metrics.lagRecords.set(where, records);
      if (seconds !== null) metrics.lagSeconds.set(where, seconds);
    },
  };
}

/** Sets a counter that is kept elsewhere (in the commit) to its value there. */
function moveTo(target: Counter<string>, labels: Record<string, string>, value: number): void {
  target.remove(labels);
  target.inc(labels, value);
}
