import { configDigest } from '../checkpoint/canonical-json.ts';
import type { EngineWish } from '../engine/engine.ts';
import { EXIT, RepulsorError } from '../errors.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { VERSION } from '../version.ts';
import type { Certificate, ReferenceFacts, TrialOutcome, TrialResult } from './certificate.ts';
import { type CommittedOutcome, readOutcome } from './committed-outcome.ts';
import { ownFlaws } from './compare-runs.ts';
import type { LifeEnd } from './life.ts';
import { howItEnded, lineOf, runTrial, type Stage, startTrainer } from './run-trial.ts';
import { openScratch, type Scratch } from './scratch.ts';
import { fillScratch } from './scratch-input.ts';
import { changedSettings, trialPipeline } from './trial-pipeline.ts';
import { commonMoments, planTrials, type Trial, type TrialFacts, trialNamed } from './trials.ts';

/** A life that takes this many times what the reference took hangs; and never less than some minutes. */
const PATIENCE = 20;
const LEAST_PATIENCE_MS = 300_000;

export interface CertifyRequest {
  /** Its `log` holds the inputs. */
  readonly pipeline: Pipeline;
  /** URL of a Kafka log for the scratch topics; null keeps them in a temporary folder. */
  readonly broker: string | null;
  /** The file it was loaded from, as it was named. */
  readonly file: string;
  /** Steps of each run. */
  readonly steps: number;
  /** Null: one of each kind. */
  readonly trials: number | null;
  readonly seed: number;
  /** This trial alone. */
  readonly only: string | null;
  readonly engine: EngineWish;
  readonly threads: number | null;
  /** What to put behind `repulsor certify` to ask for the same again, but for the trial. */
  readonly repeat: string;
  readonly signal: AbortSignal;
  readonly observer: CertifyObserver;
  /** For tests: another module for the processes. */
  readonly child?: URL;
}

export interface CertifyObserver {
  onNote?(line: string): void;
  onWarning?(line: string): void;
  /** `left`: seconds that the other trials will take, by those so far. */
  onTrial?(result: TrialResult, done: number, total: number, left: number): void;
  onBegin?(trial: string, done: number, total: number, left: number | null): void;
}

/**
 * Runs the user's pipeline through the trials, in a log and runs of its own which are gone afterwards, whatever happens.
 * @throws RepulsorError where there is nothing to certify: the pipeline does not train, or there is no such trial; the
 * signal's reason when it aborts
 */
export async function certify(request: CertifyRequest): Promise<Certificate> {
  const { signal, observer } = request;
  const scratch = await openScratch(request.broker);
  const notes: string[] = [];
  let certificate: Omit<Certificate, 'notes'>;
  try {
    certificate = await carryOut(request, scratch, (note) => {
      notes.push(note);
      observer.onWarning?.(note);
    });
  } catch (error) {
    await tidyUp(scratch, (note) => observer.onWarning?.(note));
    signal.throwIfAborted();
    throw error;
  }
  await tidyUp(scratch, (note) => {
    notes.push(note);
    observer.onWarning?.(note);
  });
  return { ...certificate, notes };
}

async function carryOut(
  request: CertifyRequest,
  scratch: Scratch,
  note: (line: string) => void,
): Promise<Omit<Certificate, 'notes'>> {
  const { signal, observer, steps, seed } = request;
  const begun = performance.now();
  const input = await fillScratch(scratch, request.pipeline, request.pipeline.log, steps);
  observer.onNote?.(`${input.records} records (${input.images} images) of ${input.from} are the input of every run`);
  if (input.note !== null) note(`the pipeline follows its topic, the trials pass over it: ${input.note}`);
  if (request.pipeline.commit.store !== null)
    note('the pipeline keeps its weights in a bucket, the trials keep theirs in a folder: the bucket was not tried');
  const pipeline = trialPipeline(request.pipeline, { ...input, log: scratch.url, steps });
  signal.throwIfAborted();

  const { engine, threads, child } = request;
  const start = { pipeline, engine, threads, signal, ...(child !== undefined && { child }) };
  const reference = await runReference(scratch, { ...start, timeoutMs: LEAST_PATIENCE_MS * 12 }, note);
  const facts: TrialFacts = {
    steps: reference.outcome.steps.length,
    seed,
    moments: commonMoments(reference.end.lines),
  };
  const trials = chooseTrials(request, facts);
  let stage: Stage = {
    ...start,
    reference: reference.outcome,
    samplesOnly: false,
    seed,
    timeoutMs: Math.max(LEAST_PATIENCE_MS, PATIENCE * reference.seconds * 1000),
  };
  const results: TrialResult[] = [];
  let notDeterministic: string | null = null;
  let [livesDone, livesSeconds] = [1, reference.seconds];
  for (const [i, trial] of trials.entries()) {
    const left = () =>
      (livesSeconds / livesDone) * trials.slice(results.length).reduce((sum, { lives }) => sum + lives, 0);
    observer.onBegin?.(trial.id, i, trials.length, left());
    const before = performance.now();
    const end = await runTrial(trial, await scratch.run(trial.id), stage);
    await scratch.forget(trial.id);
    signal.throwIfAborted();
    const seconds = (performance.now() - before) / 1000;
    livesDone += Math.max(1, end.lives.length);
    livesSeconds += seconds;
    const repeat = `npx repulsor certify ${request.repeat} --only ${trial.id}`;
    results.push({ id: trial.id, group: trial.group, ...end, seconds, repeat });
    if (trial.id === 'again' && end.outcome === 'not held') {
      notDeterministic = end.what;
      stage = { ...stage, samplesOnly: true };
      note(
        `this pipeline does not give the same bits again here, so the other trials hold samples and positions against the reference, not losses and weights: ${end.what}`,
      );
    }
    observer.onTrial?.(results.at(-1)!, results.length, trials.length, left());
  }
  const counts = { held: 0, 'not held': 0, 'not carried out': 0 } satisfies Record<TrialOutcome, number>;
  for (const { outcome } of results) counts[outcome]++;
  return {
    held: counts.held === results.length,
    counts,
    version: VERSION,
    time: new Date().toISOString(),
    seconds: (performance.now() - begun) / 1000,
    pipeline: {
      name: request.pipeline.name,
      file: request.file,
      config_digest: configDigest({ ...request.pipeline, log: '' }),
    },
    seed,
    log: request.broker === null ? 'a file log in a temporary folder' : scratch.log.url,
    input: { from: input.from, records: input.records, images: input.images, partitions: input.partitions },
    not_deterministic: notDeterministic,
    reference: factsOf(reference.outcome, reference.seconds),
    changed: changedSettings(request.pipeline, pipeline),
    trials: results,
  };
}

/** The run that nothing happens to. What is wrong with it is wrong with the pipeline, or with this software. */
async function runReference(
  scratch: Scratch,
  start: Omit<Stage, 'reference' | 'samplesOnly' | 'seed'>,
  note: (line: string) => void,
): Promise<{ readonly outcome: CommittedOutcome; readonly end: LifeEnd; readonly seconds: number }> {
  const begun = performance.now();
  const place = await scratch.run('reference');
  const end = await startTrainer(place, start, {}).ended;
  start.signal.throwIfAborted();
  const engine = lineOf(end.lines, 'engine');
  if (engine?.fellBack) note(engine.message);
  if (end.code !== EXIT.done) throw doesNotTrain(end, start);
  const outcome = (await readOutcome(place))!;
  const flaws = ownFlaws(outcome);
  if (flaws.length > 0)
    throw new RepulsorError('STATE_DAMAGED', `an uninterrupted run is not one whole chain: ${flaws[0]!.what}`, {
      hint: 'this is a defect of repulsor: please report it with the pipeline',
    });
  return { outcome, end, seconds: (performance.now() - begun) / 1000 };
}

function doesNotTrain(end: LifeEnd, start: Pick<Stage, 'timeoutMs'>): RepulsorError {
  const failed = lineOf(end.lines, 'failed');
  const message = `the pipeline does not train even uninterrupted, so there is nothing to certify: it ${howItEnded(end, start)}`;
  const hint = failed?.hint || 'see whether `repulsor train` runs with it';
  return new RepulsorError(end.code === EXIT.usage ? 'CONFIG' : 'ENGINE_FAILED', message, { hint });
}

function chooseTrials({ only, trials }: CertifyRequest, facts: TrialFacts): Trial[] {
  if (only === null) return planTrials(facts, trials);
  const trial = trialNamed(facts, only);
  if (trial === null) {
    const names = planTrials(facts, null).map(({ id }) => id);
    throw new RepulsorError('USAGE', `there is no trial ${only}`, {
      hint: `the trials are ${names.join(', ')}, and kill-random-1, kill-random-2 and so on`,
    });
  }
  // Whether bits can be the same at all decides what the trial is held against.
  return [...planTrials(facts, 1), trial].filter(({ id }, i, all) => all.findIndex((other) => other.id === id) === i);
}

function factsOf({ steps, commits }: CommittedOutcome, seconds: number): ReferenceFacts {
  const newest = commits.at(-1)!;
  return {
    steps: steps.length,
    samples: newest.position.samples,
    commits: commits.length,
    journal_digest: Buffer.from(newest.journalDigest).toString('hex'),
    blobs: newest.blobs.map(({ name, sha256, bytes }) => ({ name, sha256, bytes })),
    engine: newest.engine,
    seconds,
  };
}

async function tidyUp(scratch: Scratch, note: (line: string) => void): Promise<void> {
  const left = await scratch.close();
  if (left === null) return;
  note(`scratch topics are left on the broker (${left.why}); delete them: ${left.topics.join(', ')}`);
}
