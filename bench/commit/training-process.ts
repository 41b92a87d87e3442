/** A child of the commit benchmark: trains for real, through `train`, and tells what commits cost it. */

import { openStore } from '../../src/checkpoint/open-store.ts';
import { openEngine } from '../../src/engine/choose.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { CommitReport, StepReport } from '../../src/trainer/report.ts';
import { train } from '../../src/trainer/trainer.ts';
import { trainingLanes } from '../../src/trainer/training-lanes.ts';
import { task } from '../child.ts';
import { EventLoopWatch } from '../event-loop.ts';
import { forgetPeak, peakBytes } from '../peak-memory.ts';
import { type Spread, spread } from '../spread.ts';
import { pipelineOfState, stateBytes } from './pipeline.ts';

export interface TrainingTask {
  readonly log: string;
  readonly store: string;
  readonly run: string;
  readonly bytes: number;
  readonly commits: number;
  readonly everySteps: number;
}

export interface TrainingFigures {
  readonly engine: string;
  readonly state_bytes: number;
  /** Steps while no commit was under way, from one to the next. */
  readonly quiet_step_seconds: Spread;
  /** Per commit: between two steps, beyond what lies between two steps without one. */
  readonly stall_seconds: Spread;
  /** Per commit: what the steps beside it took longer than quiet ones. Below 0 is noise. */
  readonly slowdown_seconds: Spread;
  /** Per commit, from the copy of the state to the committed transaction. */
  readonly commit_seconds: Spread;
  readonly bytes_written: Spread;
  /** Longest time that the main thread could do nothing else, per commit and in as many quiet phases. */
  readonly blocked_seconds: Spread;
  readonly quiet_blocked_seconds: Spread;
  /** Most memory while commits were under way, over the most before the first, as a share of the state; null where it cannot be seen. */
  readonly extra_memory_share: number | null;
  /** The one as a multiple of the other. */
  readonly peak_over_quiet: number | null;
  readonly peak_bytes: number | null;
}

interface Step {
  /** When it was over. */
  readonly at: number;
  /** Since the one before was over. */
  readonly interval: number;
  readonly between: number;
  readonly commit: number | null;
}

const { log: url, store: where, run, bytes, commits, everySteps }: TrainingTask = task();
// Commits that take longer than their distance begin late: the last one has as many steps again to have some beside it.
const pipeline = pipelineOfState(bytes, { everySteps }, 2 * everySteps * (commits + 1));
const { engine } = await openEngine({ name: 'native', lanes: trainingLanes(pipeline) });
const log = await openLog(url);
const store = await openStore(where);
const watch = new EventLoopWatch();

const steps: Step[] = [];
const reports: CommitReport[] = [];
const blocked: number[] = [];
const quietBlocked: number[] = [];
let running: number | null = null;
/** The commit that was under way when the step under way began. */
let beside: number | null = null;
let began = 0;
let attempted = 0;
let last: number | null = null;
let quietPeak = 0;
let commitPeak = 0;

/** Called when a phase (quiet, or beside a commit) is over. */
function endPhase(wasCommit: boolean): void {
  const peak = peakBytes() ?? Number.NaN;
  (wasCommit ? blocked : quietBlocked).push(watch.take());
  if (wasCommit) commitPeak = Math.max(commitPeak, peak);
  // Before the first commit: TensorFlow's allocator keeps what a commit made it take, and no later phase is without.
  else if (reports.length === 0) quietPeak = peak;
  forgetPeak();
}

function onStep({ step, stepSeconds }: StepReport): void {
  const now = performance.now() / 1000;
  // What the start left behind is no part of a quiet phase; freeing it goes on beside a step.
  if (step === 2) globalThis.gc?.();
  if (step === 3) {
    watch.take();
    forgetPeak();
  }
  if (last !== null) {
    const interval = now - last;
    steps.push({ at: now, interval, between: interval - stepSeconds, commit: beside });
  }
  last = now;
  // The commit that falls due begins right after this call, unless one is under way still (src/trainer/commits.ts).
  if (running === null && step - attempted >= everySteps && began < commits) {
    endPhase(false);
    running = began++;
    attempted = step;
  }
  beside = running;
}

function onCommit(report: CommitReport): void {
  if (running === null) return;
  endPhase(true);
  reports.push(report);
  running = null;
  if (reports.length === commits) measured.abort();
}

const measured = new AbortController();
await train({
  pipeline,
  log,
  store,
  run,
  engine,
  signal: measured.signal,
  observer: {
    onStep,
    onCommit,
    onWarning: (message) => process.stderr.write(`${message}\n`),
    onCommitFailure: (error) => process.stderr.write(`${error.message}\n`),
  },
});
watch.stop();
await log.close();

if (reports.length < commits) throw new Error(`only ${reports.length} commits were made: raise --every-steps`);
// The first step compiles: it and its interval are left out.
const quiet = steps.slice(1).filter(({ commit }) => commit === null);
const quietInterval = spread(quiet.map(({ interval }) => interval));
const quietBetween = spread(quiet.map(({ between }) => between)).median;
const stepsBeside = Array.from({ length: commits }, (_, commit) => steps.filter((step) => step.commit === commit));
const stalls = stepsBeside.map((all) => Math.max(0, all[0]!.between - quietBetween));
const slowdowns = stepsBeside.map((all, commit) =>
  all.reduce((sum, { interval }) => sum + interval - quietInterval.median, -stalls[commit]!),
);
const figures: TrainingFigures = {
  engine: `${engine.name} (${engine.version}, ${engine.device}, ${engine.threads} threads)`,
  state_bytes: stateBytes(pipeline),
  quiet_step_seconds: quietInterval,
  stall_seconds: spread(stalls),
  slowdown_seconds: spread(slowdowns),
  commit_seconds: spread(reports.map(({ seconds }) => seconds)),
  bytes_written: spread(reports.map(({ bytesWritten }) => bytesWritten)),
  blocked_seconds: spread(blocked),
  quiet_blocked_seconds: spread(quietBlocked),
  extra_memory_share: Number.isNaN(commitPeak) ? null : (commitPeak - quietPeak) / stateBytes(pipeline),
  peak_over_quiet: Number.isNaN(commitPeak) ? null : commitPeak / quietPeak,
  peak_bytes: Number.isNaN(commitPeak) ? null : Math.max(commitPeak, quietPeak),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
