import type { CommitRequest } from '../checkpoint/commit.ts';
import { differingSettings } from '../checkpoint/config-difference.ts';
import { keptCommits } from '../checkpoint/kept-commits.ts';
import { type RestoredState, readState } from '../checkpoint/restore.ts';
import { runTopics } from '../checkpoint/run-id.ts';
import type { StateBlobs } from '../checkpoint/state-blobs.ts';
import type { StoredRun } from '../checkpoint/stored-run.ts';
import type { Commit, Negatives } from '../codec/records.ts';
import type { HostTensors } from '../engine/engine.ts';
import { RepulsorError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { appendRows, negativesOf, type QueueHistory, queueDigest } from '../memory-bank/changelog.ts';
import type { ParameterLayout } from '../model/parameters.ts';
import { beginPosition } from '../operators/begin-position.ts';
import { type Since, spellSince } from '../operators/since.ts';
import { halfNames, inHalves, joinHalves } from './halves.ts';
import { type Pipeline, topicsOf } from './pipeline.ts';
import { blocksOf, hasSecondView } from './repulsion-settings.ts';
import { stateToTrain } from './run-step.ts';
import { blobEntries, fromBlobs, toBlobs } from './state-blobs.ts';
import { storedPipeline } from './stored-pipeline.ts';
import { hasSlowCopy, trainLayout } from './train-state.ts';

/** How a new run begins, where not by its seed at the place that `source.from` names. */
export interface Beginning {
  /** The run whose state it begins with. */
  readonly from: Origin | null;
  /** Where in its topic it begins. */
  readonly since: Since | null;
}

export interface Origin {
  /** Its id; null when its folder is not there any more, which only matters to a run that has not begun. */
  readonly run: string | null;
  /** Exactly; null is its newest commit. */
  readonly step: number | null;
  /** Reads the run; the caller of `train` closes its log. @throws RepulsorError */
  open(): Promise<StoredRun>;
}

/**
 * A run that began already cannot begin otherwise: to begin it as it did begin is to go on.
 * @throws RepulsorError STATE_MISMATCH
 */
export function checkBeginning({ run, step, origin, since }: Commit, asked: Beginning): void {
  const found: string[] = [];
  const { from } = asked;
  const began = origin === null ? 'by its seed' : `from ${origin.run}@${origin.step}`;
  const sameRun = from === null || from.run === null || origin?.run === from.run;
  const sameStep = from === null || from.step === null || origin?.step === from.step;
  if (from !== null && (origin === null || !sameRun || !sameStep)) found.push(`it began ${began}`);
  if (asked.since !== null && since !== spellSince(asked.since))
    found.push(`its input began ${since === null ? 'where its settings said' : `at ${since}`}`);
  if (found.length === 0) return;
  throw new RepulsorError('STATE_MISMATCH', `the run ${run} is at step ${step} already: ${found.join(', and ')}`, {
    hint: 'leave --from and --since out to go on with it, or begin a new run with --run',
  });
}

/**
 * The commit of step 0 that such a run begins with: the origin's weights, averaged weights, slow copy and, where it
 * fits, queue. The optimizer begins anew: its moments are corrected by the number of steps since they were zero. With this
 * commit the run needs its origin no more, to be resumed or replayed.
 * @throws RepulsorError STATE_MISMATCH when the origin's model is another, STATE_MISSING when its weights are not kept
 */
export async function firstCommit(log: Log, pipeline: Pipeline, { from, since }: Beginning): Promise<CommitRequest> {
  const { source } = pipeline;
  const position = await beginPosition(log, topicsOf(source), { ...source, since });
  const origin = from === null ? null : await readOrigin(from);
  const { state, negatives, queue, carried } = origin === null ? bySeed(pipeline) : carriedOver(pipeline, origin);
  const { capacity = 0, dim = 0, count = 0 } = queue ?? {};
  return {
    step: 0,
    state: toBlobs(
      Object.fromEntries(blobEntries(pipeline).map((name) => [name, state[name]!])),
      trainLayout(pipeline),
    ),
    position,
    journal: [],
    negatives,
    queue: queue && { capacity, dim, count, digest: queueDigest(queue) },
    began: {
      origin: origin && { run: origin.commit.run, step: origin.commit.step, commit: origin.digest, carried },
      since: since && spellSince(since),
    },
  };
}

interface Begun {
  readonly state: HostTensors;
  readonly queue: QueueHistory | null;
  /** The rows of the queue. */
  readonly negatives: readonly Negatives[];
  readonly carried: string[];
}

function bySeed(pipeline: Pipeline): Begun {
  return { ...stateToTrain(pipeline, null), negatives: [], carried: [] };
}

function carriedOver(pipeline: Pipeline, origin: RestoredState): Begun {
  checkModel(pipeline, origin);
  const { state: initial, queue } = stateToTrain(pipeline, null);
  const layout = trainLayout(pipeline);
  const carried = ['params', 'ema', ...(hasSlowCopy(pipeline) && origin.state['keys'] !== undefined ? ['slow'] : [])];
  const blobs = withProjection(origin.state, initial, layout);
  const state: HostTensors = { ...initial, ...fromBlobs(blobs, carried.flatMap(halfNames), layout) };
  // Without one of the origin's the copy begins where the weights are, as it does at a run's beginning.
  if (hasSlowCopy(pipeline) && !carried.includes('slow'))
    Object.assign(state, inHalves('slow', joinHalves(state, 'params').data as Float32Array, layout));
  const negatives = queue !== null && queueFits(pipeline, origin) ? rowsOf(origin.queue!, origin.commit.step) : [];
  for (const rows of negatives) appendRows(queue!, rows);
  if (negatives.length > 0) carried.push('queue');
  return { state, queue, negatives, carried };
}

/**
 * Weights may fit by their shapes and yet mean something else: heads and the scale of time shape no tensor. Images may be of
 * another size, for positions are fixed. @throws RepulsorError STATE_MISMATCH
 */
function checkModel({ model }: Pipeline, { commit }: RestoredState): void {
  const differences = differingSettings(storedPipeline(commit).model, model, ['input']);
  if (differences.length === 0) return;
  const list = differences
    .map(({ path, committed, wanted }) => `model.${path} was ${committed}, is ${wanted}`)
    .join('; ');
  throw new RepulsorError('STATE_MISMATCH', `the weights of the run ${commit.run} are of another model: ${list}`, {
    hint: 'give the new run the settings of that model',
  });
}

/** The origin's blobs; a projection that it has not (imported weights have none) begins by the seed. */
function withProjection(blobs: StateBlobs, initial: HostTensors, layout: ParameterLayout): StateBlobs {
  const fresh = toBlobs(initial, layout)['model']!;
  const projection = Object.entries(fresh).filter(([name]) => name.startsWith('head.'));
  const whole = (blob: HostTensors) => ({ ...Object.fromEntries(projection), ...blob });
  const named = Object.entries(blobs).map(([name, blob]) => [
    name,
    ['model', 'ema'].includes(name) ? whole(blob) : blob,
  ]);
  return Object.fromEntries(named);
}

/** Rows mean something to a loss only where they were made as its own are. */
function queueFits({ losses }: Pipeline, { commit, queue }: RestoredState): boolean {
  const now = losses.repulsion;
  const old = storedPipeline(commit).losses.repulsion;
  if (queue === null || now === null || old === null) return false;
  const making = (settings: typeof now) =>
    JSON.stringify([
      blocksOf(settings),
      settings.projection,
      settings.keyMomentum === null,
      hasSecondView(settings) ? settings.view : null,
    ]);
  return making(now) === making(old);
}

/** The queue's valid rows, oldest first, their steps counted back from the beginning of the run to come. */
function rowsOf({ capacity, dim, count, rows, labels, steps }: QueueHistory, originStep: number): Negatives[] {
  const found: Negatives[] = [];
  const valid = Math.min(count, capacity);
  for (let i = count - valid; i < count; ) {
    const step = steps[i % capacity]!;
    let end = i;
    // Up to where the ring wraps: there a step's rows lie in two pieces.
    while (end < count && steps[end % capacity] === step && (end === i || end % capacity !== 0)) end++;
    const [first, last] = [i % capacity, (i % capacity) + (end - i)];
    found.push(negativesOf(step - originStep, rows.slice(first * dim, last * dim), labels.subarray(first, last)));
    i = end;
  }
  return found;
}

async function readOrigin({ step, open }: Origin): Promise<RestoredState> {
  const from = await open();
  if (step === null) return readState(from);
  const kept = await keptCommits(from.log, runTopics(from.run).commits, from.store);
  const found = kept.find((commit) => commit.step === step);
  if (found !== undefined) return readState(from, { generation: found.generation });
  const steps = kept.map((commit) => commit.step);
  throw new RepulsorError('STATE_MISSING', `the run ${from.run} keeps no weights of a commit of step ${step}`, {
    hint: `it keeps those of step${steps.length === 1 ? '' : 's'} ${steps.reverse().join(', ') || '(none)'}; without @STEP the newest are taken`,
  });
}
