import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/**
 * Every metric there is. Prometheus naming: prefix, base unit, `_total` on counters; each series carries the label
 * `run`. A series appears with its first value: a queue that does not exist has no fill of 0, and an alert on collapse
 * cannot fire before the first step.
 *
 * What a rollback does to them. A trainer that crashes at step 1,234 goes on from its last commit, say 1,200. Counters
 * of *committed* work are restored from that commit and only move when one succeeds, so they never fall, and `rate()`
 * and `increase()` over a crash count no step twice. `repulsor_step` is where the model is now and may fall. Counters
 * of *work done* (samples processed, durations, records, bytes) start at 0 with the process, as Prometheus expects,
 * and hold the steps that were lost too: the difference of the two is what crashes cost.
 */
export const DEFINITIONS = {
  info: gauge('repulsor_run_info', 'Always 1; its labels say what is running.', [
    'engine',
    'device',
    'library',
    'version',
  ]),
  memory: gauge('repulsor_resident_memory_bytes', 'Memory of the process, the native engine included.'),
  refused: counter(
    'repulsor_refused_updates_total',
    'Updates left out because a metric had reached its limit of series.',
  ),

  step: gauge('repulsor_step', 'Steps done in the present lineage; falls back to the last commit after a crash.'),
  loss: gauge('repulsor_loss', 'Loss of the last step by term; "total" is the one minimised.', ['term']),
  gradientNorm: gauge('repulsor_gradient_norm', 'Global L2 norm of the gradient of the last step, before clipping.'),
  parameterNorm: gauge('repulsor_parameter_norm', 'Global L2 norm of the parameters.'),
  learningRate: gauge('repulsor_learning_rate', 'Learning rate of the last step.'),
  stepDuration: histogram(
    'repulsor_step_duration_seconds',
    'Duration of the engine call of a step, by this process.',
    [0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.5, 2.5, 5, 10, 30],
  ),
  dataWait: counter('repulsor_data_wait_seconds_total', 'Time that steps waited for their batch, in this process.'),
  dataWaitRatio: gauge(
    'repulsor_data_wait_ratio',
    'Share of the last step that was spent waiting for its batch, 0 to 1.',
  ),
  samplesPerSecond: gauge(
    'repulsor_samples_per_second',
    'Samples of the last step over its duration, the wait for data included.',
  ),
  processedSamples: counter(
    'repulsor_processed_samples_total',
    'Samples trained on by this process, those of lost steps included.',
  ),
  archivedSamples: counter(
    'repulsor_archived_samples_total',
    'Of the processed samples, those read again from the archive (operators.mix).',
  ),

  queueFill: gauge('repulsor_queue_fill_rows', 'Valid rows in the queue of negatives.'),
  queueCapacity: gauge('repulsor_queue_capacity_rows', 'Size of the queue of negatives.'),
  queueAgeMax: gauge('repulsor_queue_age_max_steps', 'Age in steps of the oldest valid row of the queue.'),
  queueAgeMean: gauge('repulsor_queue_age_mean_steps', 'Mean age in steps of the valid rows of the queue.'),
  drift: gauge(
    'repulsor_key_drift',
    'Mean squared distance between projections and keys of the same inputs, by block; 0 with current keys.',
    ['block'],
  ),
  positiveDistance: gauge(
    'repulsor_positive_distance',
    'Mean squared distance between projections and the keys of their second views, by block; with info-nce only.',
    ['block'],
  ),
  shift: gauge(
    'repulsor_queue_shift',
    'Squared distance between the mean projection of the batch and the mean row of the queue, by block; near 4 the batch has fled.',
    ['block'],
  ),
  similarity: gauge(
    'repulsor_queue_similarity',
    'Mean cosine between the batch and the counting rows of the queue, by block.',
    ['block'],
  ),
  pairDistance: gauge(
    'repulsor_pair_distance',
    'Mean squared distance between two projections of the batch, by block; 0 is collapse, 2 is spread.',
    ['block'],
  ),
  uniformity: gauge(
    'repulsor_uniformity',
    'log mean exp(-2 d^2) over pairs of the batch, by block; 0 is collapse, lower is more even.',
    ['block'],
  ),

  streamShift: gauge(
    'repulsor_stream_shift',
    'How far the images of the last steps are from those before, in units of what chance alone gives: about 1 or less while nothing changes.',
  ),
  evaluatedStep: gauge('repulsor_evaluation_step', 'Step whose weights were evaluated last.'),
  evaluatedAlignment: gauge(
    'repulsor_evaluation_alignment',
    'Mean squared distance of the features of an image under two draws of noise; 0 to 4.',
  ),
  evaluatedUniformity: gauge(
    'repulsor_evaluation_uniformity',
    'log mean exp(-2 d^2) over pairs of the evaluated images; 0 is collapse, lower is more even.',
  ),
  evaluatedRank: gauge(
    'repulsor_evaluation_effective_rank',
    'Effective rank (RankMe) of the features of the evaluated images; 1 is collapse to a line.',
  ),
  evaluatedAccuracy: gauge(
    'repulsor_evaluation_accuracy_ratio',
    'Share of the evaluated images whose class their features tell, by probe: nearest neighbours or a linear map.',
    ['probe'],
  ),
  evaluationDuration: gauge(
    'repulsor_evaluation_duration_seconds',
    'From the evaluated step to the result; steps went on meanwhile.',
  ),

  records: counter('repulsor_records_total', 'Input records by outcome, in this process.', ['outcome']),
  deadLetters: counter(
    'repulsor_dead_letters_total',
    'Records or images set aside as unusable, by reason, in this process.',
    ['reason'],
  ),
  lagRecords: gauge('repulsor_lag_records', 'Committed records of a partition that are not read yet.', [
    'topic',
    'partition',
  ]),
  retentionHeadroom: gauge(
    'repulsor_retention_headroom_records',
    'Offsets between the earliest still there and the oldest that is needed for a resume, a replay, the history or the archive; below 0 they are gone.',
    ['topic', 'partition', 'need'],
  ),
  retentionSeconds: gauge(
    'repulsor_retention_headroom_seconds',
    'Until the oldest needed record may be removed by its age, about; only where the topic has such a limit.',
    ['topic', 'partition', 'need'],
  ),
  retentionBytes: gauge(
    'repulsor_retention_headroom_bytes',
    'Bytes that may be written until the oldest needed record may be removed for size, about; only where the topic has such a limit.',
    ['topic', 'partition', 'need'],
  ),
  retentionRatio: gauge(
    'repulsor_retention_headroom_ratio',
    "Part of the topic's tighter limit that is left before the oldest needed record; 1 without limits, 0 when it is gone.",
    ['topic', 'partition', 'need'],
  ),
  lagSeconds: gauge(
    'repulsor_lag_seconds',
    'How far the records read last lie behind the present; 0 when all are read.',
    ['topic', 'partition'],
  ),

  committedSteps: counter(
    'repulsor_committed_steps_total',
    'Steps committed since the run began, over all its processes.',
  ),
  committedSamples: counter(
    'repulsor_committed_samples_total',
    'Samples whose training is committed, since the run began, over all its processes.',
  ),
  commitGeneration: gauge('repulsor_commit_generation', 'Number of the last commit; 0 before the first.'),
  commitAge: gauge(
    'repulsor_commit_age_seconds',
    'Time since the last commit of this process, or since its start when there is none yet.',
  ),
  commitDuration: histogram(
    'repulsor_commit_duration_seconds',
    'From the copy of the state to the committed transaction, by this process.',
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5, 10, 30, 60],
  ),
  commitStall: counter(
    'repulsor_commit_stall_seconds_total',
    'Time in which commits let no step run, in this process.',
  ),
  commitBytes: counter('repulsor_commit_written_bytes_total', 'Bytes of blobs written by commits, in this process.'),
  commitFailures: counter('repulsor_commit_failures_total', 'Commits that failed, in this process.'),
} as const;

interface Definition<Kind extends string> {
  readonly kind: Kind;
  readonly name: string;
  readonly help: string;
  /** Besides `run`. */
  readonly labels: readonly string[];
  readonly buckets?: number[];
}

function gauge(name: string, help: string, labels: readonly string[] = []): Definition<'gauge'> {
  return { kind: 'gauge', name, help, labels };
}

function counter(name: string, help: string, labels: readonly string[] = []): Definition<'counter'> {
  return { kind: 'counter', name, help, labels };
}

function histogram(name: string, help: string, buckets: number[]): Definition<'histogram'> {
  return { kind: 'histogram', name, help, labels: [], buckets };
}

export type Created<D> = {
  [K in keyof D]: D[K] extends Definition<'gauge'>
    ? Gauge<string> & { collect?: () => void }
    : D[K] extends Definition<'counter'>
      ? Counter<string>
      : Histogram<string>;
};

/** Creates every metric on `registry`, each with no series yet. */
export function defineMetrics(registry: Registry): Created<typeof DEFINITIONS> {
  const classes: Record<string, typeof Gauge | typeof Counter | typeof Histogram> = {
    gauge: Gauge,
    counter: Counter,
    histogram: Histogram,
  };
  const made = Object.entries<Definition<string>>(DEFINITIONS).map(([key, { kind, name, help, labels, buckets }]) => {
    const settings = { name, help, labelNames: ['run', ...labels], registers: [registry] };
    return [key, new classes[kind]!(buckets === undefined ? settings : { ...settings, buckets })];
  });
  return Object.fromEntries(made) as Created<typeof DEFINITIONS>;
}
