import { commitsBackwards } from '../checkpoint/commit-history.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { EngineWish } from '../engine/engine.ts';
import { EXIT } from '../errors.ts';
import type { Pipeline } from '../trainer/pipeline.ts';
import { type Accident, describeAccident, describePoint, type Point } from './accident.ts';
import type { LifeStory, TrialOutcome } from './certificate.ts';
import type { CommittedOutcome } from './committed-outcome.ts';
import { damageBlob } from './damage-blob.ts';
import { judgeRun } from './judge-run.ts';
import { type Life, type LifeEnd, startLife } from './life.ts';
import type { LifeLine, LifeTask } from './live.ts';
import type { ScratchRun } from './scratch.ts';
import type { Trial, TrialPlan } from './trials.ts';

/** What every trial is held against, and how its processes are started. */
export interface Stage {
  readonly pipeline: Pipeline;
  readonly engine: EngineWish;
  readonly threads: number | null;
  readonly reference: CommittedOutcome;
  /** The engine does not give the same bits again: only samples and positions can be held against the reference. */
  readonly samplesOnly: boolean;
  readonly seed: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly child?: URL;
}

export interface TrialEnd {
  readonly outcome: TrialOutcome;
  readonly what: string;
  readonly lives: readonly LifeStory[];
}

/** Thrown where a trial is over. */
class Finding extends Error {
  readonly outcome: TrialOutcome;

  constructor(outcome: TrialOutcome, what: string) {
    super(what);
    this.outcome = outcome;
  }
}

/** Carries a trial out on a fresh run. @throws what keeps it from being judged at all, as a log that does not answer */
export async function runTrial(trial: Trial, place: ScratchRun, stage: Stage): Promise<TrialEnd> {
  const lives: LifeStory[] = [];
  const actors = new Actors(place, stage, lives);
  try {
    const givenUp = await carryOut(trial.plan, actors);
    const judgement = await judgeRun(place, stage.reference, { givenUp, samplesOnly: stage.samplesOnly });
    return { outcome: judgement.same ? 'held' : 'not held', what: judgement.what, lives };
  } catch (error) {
    stage.signal.throwIfAborted();
    if (error instanceof Finding) return { outcome: error.outcome, what: error.message, lives };
    throw error;
  }
}

/** How many commits the run may have given up. */
async function carryOut(plan: TrialPlan, actors: Actors): Promise<number> {
  if (plan.does === 'accidents') {
    const last = plan.accidents.at(-1);
    for (const accident of plan.accidents) await actors.meet(accident);
    if (last?.does !== 'fail') await actors.finish();
    return 0;
  }
  if (plan.does === 'replay') {
    await actors.meet(plan.accident);
    await actors.finish();
    await actors.replay();
    return 0;
  }
  if (plan.does === 'fencing') {
    await fence(plan.sleeps, plan.wakes, actors);
    return 0;
  }
  await actors.meet({ does: 'terminate', point: plan.stop });
  if (plan.does === 'settings') {
    const { pipeline } = actors.stage;
    await actors.refused({ pipeline: { ...pipeline, seed: pipeline.seed + 1 } }, EXIT.usage, 'another seed');
    const deeper = { ...pipeline, model: { ...pipeline.model, depth: pipeline.model.depth + 1 } };
    await actors.refused({ pipeline: deeper }, EXIT.usage, 'a deeper model');
    await actors.finish();
    return 0;
  }
  const { givenUp, from, what } = await damageBlob(actors.place, plan.damage, actors.stage.seed);
  await actors.refused({}, EXIT.damaged, what);
  const end = await actors.finish({ fallback: true });
  const started = lineOf(end.lines, 'started')?.step;
  if (started !== from)
    throw new Finding(
      'not held',
      `with --fallback it went on from step ${started}; the commit before is of step ${from}`,
    );
  return givenUp;
}

async function fence(sleeps: Point, wakes: 'after' | 'meanwhile', actors: Actors): Promise<void> {
  const accident: Accident = { does: 'sleep', point: sleeps };
  const first = actors.start({ accident });
  if (!(await first.says('reached'))) throw neverReached(accident, await first.ended, actors.stage);
  const heard = first.lines.length;
  const second = actors.start({});
  if (wakes === 'after') await second.ended;
  else await second.says('started');
  const silent = first.lines.length === heard;
  first.signal('SIGCONT');
  const [fenced, end] = await Promise.all([first.ended, second.ended]);
  actors.lives.push(storyOf(fenced, describeAccident(accident)), storyOf(end, null));
  if (!silent) throw new Finding('not carried out', 'the first trainer did not sleep: it said something meanwhile');
  expectDone(end, 'the trainer that took over', actors.stage);
  const failed = lineOf(fenced.lines, 'failed');
  if (fenced.code !== EXIT.fenced || failed?.code !== 'FENCED')
    throw new Finding('not held', `the first trainer was not fenced: it ${howItEnded(fenced, actors.stage)}`);
}

/** Starts the trial's processes, one after the other, and keeps what became of them. */
class Actors {
  readonly place: ScratchRun;
  readonly stage: Stage;
  readonly lives: LifeStory[];

  constructor(place: ScratchRun, stage: Stage, lives: LifeStory[]) {
    this.place = place;
    this.stage = stage;
    this.lives = lives;
  }

  start(over: Partial<LifeTask>): Life {
    return startTrainer(this.place, this.stage, over);
  }

  /** One life with an accident, which must end as it says. */
  async meet(accident: Accident): Promise<void> {
    const end = await this.start({ accident }).ended;
    this.lives.push(storyOf(end, describeAccident(accident)));
    if (lineOf(end.lines, 'reached') === undefined) throw neverReached(accident, end, this.stage);
    if (accident.does === 'fail') {
      expectDone(end, 'the trainer whose write failed', this.stage);
      if (!end.lines.some((line) => line.kind === 'warning' && line.message.startsWith('a commit failed')))
        throw new Finding('not held', 'a commit whose write failed was not told as failed');
    } else if (accident.does === 'terminate') {
      if (end.code !== EXIT.interrupted)
        throw new Finding(
          'not held',
          `asked to stop, it ${howItEnded(end, this.stage)} instead of ending with status 130`,
        );
      const [done, committed] = [lastStep(end.lines, 'step'), lastStep(end.lines, 'committed')];
      if (done !== committed)
        throw new Finding('not held', `asked to stop after step ${done}, it had committed step ${committed}`);
    } else if (end.signal !== 'SIGKILL') throw new Error(`a killed process ${howItEnded(end, this.stage)}`);
  }

  /** A life that must not begin: it ends with the status, and leaves the run's commits as they are. */
  async refused(over: Partial<LifeTask>, status: number, what: string): Promise<void> {
    const before = await commitCount(this.place);
    const end = await this.start(over).ended;
    this.lives.push(storyOf(end, `started with ${what}`));
    if (end.code !== status)
      throw new Finding(
        'not held',
        `with ${what} it ${howItEnded(end, this.stage)}; it must end with status ${status}`,
      );
    if ((await commitCount(this.place)) !== before) throw new Finding('not held', `with ${what} it made a commit`);
  }

  /** The run's journal is trained again, and must give what it says. Nothing to hold where no bits can be the same. */
  async replay(): Promise<void> {
    if (this.stage.samplesOnly) throw new Finding('not carried out', 'the engine does not give the same bits again');
    const end = await this.start({ replays: true }).ended;
    this.lives.push({
      ...storyOf(end, 'replayed from its journal'),
      from: 0,
      to: lineOf(end.lines, 'replayed')?.through ?? 0,
    });
    const replayed = lineOf(end.lines, 'replayed');
    if (end.code !== EXIT.done)
      throw new Finding('not held', replayed?.diverged ?? `the replay ${howItEnded(end, this.stage)}`);
    const steps = this.stage.reference.steps.length;
    if (replayed?.through !== steps)
      throw new Finding('not held', `the replay ends at step ${replayed?.through}, not ${steps}`);
  }

  /** A life without an accident, to the end. */
  async finish(over: Partial<LifeTask> = {}): Promise<LifeEnd> {
    const end = await this.start(over).ended;
    this.lives.push(storyOf(end, over.fallback ? 'started with --fallback' : null));
    expectDone(end, 'the trainer that went on', this.stage);
    return end;
  }
}

export function startTrainer(
  place: ScratchRun,
  stage: Pick<Stage, 'pipeline' | 'engine' | 'threads' | 'timeoutMs' | 'signal' | 'child'>,
  over: Partial<LifeTask>,
): Life {
  const { pipeline, engine, threads, timeoutMs, signal, child } = stage;
  const { run, blobs } = place;
  const task = { pipeline, run, blobs, engine, threads, fallback: false, replays: false, accident: null, ...over };
  return startLife(task, { timeoutMs, signal, ...(child !== undefined && { child }) });
}

function expectDone(end: LifeEnd, who: string, stage: Stage): void {
  if (end.code !== EXIT.done) throw new Finding('not held', `${who} ${howItEnded(end, stage)}`);
}

/** An end before the point: either the trainer failed, which it must not, or there was no such point. */
function neverReached(accident: Accident, end: LifeEnd, stage: Stage): Finding {
  if (end.code === EXIT.done)
    return new Finding('not carried out', `it was done before it came to its point, ${describePoint(accident.point)}`);
  if (end.signal === 'SIGKILL' && !end.timedOut)
    return new Finding('not carried out', 'something else killed it first (a machine short of memory does)');
  return new Finding('not held', `on its way to its accident it ${howItEnded(end, stage)}`);
}

export function howItEnded(end: LifeEnd, { timeoutMs }: Pick<Stage, 'timeoutMs'>): string {
  if (end.timedOut) return `did not end within ${Math.round(timeoutMs / 1000)} s`;
  if (end.signal !== null) return `was ended by ${end.signal}${end.stderr === '' ? '' : `: ${end.stderr.trim()}`}`;
  const failed = lineOf(end.lines, 'failed');
  const why = failed === undefined ? end.stderr.trim() : `${failed.code}: ${failed.message}`;
  return `ended with status ${end.code}${why === '' ? '' : ` (${why})`}`;
}

export function lineOf<K extends LifeLine['kind']>(
  lines: readonly LifeLine[],
  kind: K,
): Extract<LifeLine, { kind: K }> | undefined {
  return lines.find((line): line is Extract<LifeLine, { kind: K }> => line.kind === kind);
}

/** 0 when there was none. */
function lastStep(lines: readonly LifeLine[], kind: 'step' | 'committed'): number {
  return lines.reduce((last, line) => (line.kind === kind ? line.step : last), lineOf(lines, 'started')?.step ?? 0);
}

function storyOf(end: LifeEnd, accident: string | null): LifeStory {
  const from = lineOf(end.lines, 'started')?.step ?? null;
  const to = from === null ? null : lastStep(end.lines, 'step');
  return { from, to, end: endOf(end), accident };
}

function endOf({ code, signal }: LifeEnd): LifeStory['end'] {
  if (signal !== null) return 'killed';
  if (code === EXIT.done) return 'done';
  if (code === EXIT.interrupted) return 'stopped';
  if (code === EXIT.fenced) return 'fenced';
  return code === EXIT.damaged || code === EXIT.usage ? 'refused' : 'failed';
}

async function commitCount({ log, run }: ScratchRun): Promise<number> {
  let count = 0;
  for await (const _ of commitsBackwards(log, runTopics(run).commits)) count++;
  return count;
}
