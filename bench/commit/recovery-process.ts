/** A child of the commit benchmark: recovers what the training process committed, in turns with plainly reading it. */

import { openCommitter } from '../../src/checkpoint/commit.ts';
import { openStore } from '../../src/checkpoint/open-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import type { Blob } from '../../src/codec/records.ts';
import { openEngine } from '../../src/engine/choose.ts';
import { openLog } from '../../src/log/open-log.ts';
import { FREE_SETTINGS } from '../../src/trainer/changed-settings.ts';
import { stateToTrain } from '../../src/trainer/run-step.ts';
import { blobEntries, roomForBlobs } from '../../src/trainer/state-blobs.ts';
import { trainLayout } from '../../src/trainer/train-state.ts';
import { trainingLanes } from '../../src/trainer/training-lanes.ts';
import { task } from '../child.ts';
import { EventLoopWatch } from '../event-loop.ts';
import { forgetPeak, peakBytes, residentBytes } from '../peak-memory.ts';
import { type Spread, spread } from '../spread.ts';
import { inTurns, ratios, timed } from '../turns.ts';
import { pipelineOfState } from './pipeline.ts';
import { plainReading } from './plain-reading.ts';

export interface RecoveryTask {
  readonly log: string;
  readonly store: string;
  readonly run: string;
  readonly bytes: number;
  readonly everySteps: number;
  readonly rounds: number;
}

interface Compared {
  /** Reading the blobs' files, one after the other, with their SHA-256. */
  readonly plain_seconds: Spread;
  /** The take-over, all of the state checked, and in the engine. */
  readonly recovery_seconds: Spread;
  readonly ratio: Spread;
}

export interface RecoveryFigures {
  readonly warm: Compared;
  /** The files dropped from the page cache before each; null where this cannot be done. */
  readonly cold: Compared | null;
  /** Most memory of the first recovery of a process, over what it held before, as a share of the blobs; null where it cannot be seen. */
  readonly memory_share: number | null;
  readonly blocked_seconds: number;
  /** Of a commit of the recovered state, unchanged. */
  readonly unchanged: { readonly bytes_written: number; readonly seconds: number };
}

const { log: url, store: where, run, bytes, everySteps, rounds }: RecoveryTask = task();
const pipeline = pipelineOfState(bytes, { everySteps }, 1);
const { engine } = await openEngine({ name: 'native', lanes: trainingLanes(pipeline) });
const log = await openLog(url);
const store = await openStore(where);
let blobs: readonly Blob[] = [];

const settings = { log, store, run, seed: pipeline.seed, config: { ...pipeline, log: log.url }, engine: engine.name };

/** What `train` does before its first step, but for the tracing of the step itself, which does not depend on the state. */
async function recovery(): Promise<void> {
  const committer = await openCommitter(settings);
  const into = roomForBlobs(engine, blobEntries(pipeline), trainLayout(pipeline));
  const recovered = (await recover({ committer, into, freeSettings: FREE_SETTINGS }))!;
  blobs = recovered.commit.blobs;
  const program = await engine.compile({
    name: 'recovered',
    seed: 0,
    state: stateToTrain(pipeline, recovered).state,
    inputs: { step: { shape: [], dtype: 'int32' } },
    fn: (_, { step }) => ({ outputs: { step: step! } }),
  });
  program.dispose();
  await committer.close();
}

const collect = () => globalThis.gc?.();

async function compare(before: () => boolean): Promise<Compared> {
  const measured = (work: () => Promise<void>) => async () => {
    collect();
    before();
    return timed(work);
  };
  const seconds = await inTurns(rounds, { plain: measured(plain.read), recovered: measured(recovery) });
  return {
    plain_seconds: spread(seconds.plain),
    recovery_seconds: spread(seconds.recovered),
    ratio: ratios(seconds.recovered, seconds.plain),
  };
}

// Code is loaded and the engine has its threads before anything is measured.
const warmUp = await engine.compile({
  name: 'warm-up',
  seed: 0,
  state: {},
  inputs: { step: { shape: [], dtype: 'int32' } },
  fn: (_, { step }) => ({ outputs: { step: step! } }),
});
await warmUp.run({ step: Int32Array.of(0) }, 0);
warmUp.dispose();

const watch = new EventLoopWatch();
collect();
const held = residentBytes();
forgetPeak();
await recovery();
const peak = peakBytes();
const blocked = watch.take();
watch.stop();

const plain = await plainReading(
  where,
  blobs.map(({ sha256 }) => sha256),
);
const warm = await compare(() => true);
const cold = plain.drop() ? await compare(plain.drop) : null;

const committer = await openCommitter(settings);
const again = (await recover({ committer, freeSettings: FREE_SETTINGS }))!;
const queue = again.queue!;
const report = await committer.commit({
  step: again.commit.step,
  state: again.state,
  position: again.position,
  journal: [],
  negatives: [],
  queue: { capacity: queue.capacity, dim: queue.dim, count: queue.count, digest: again.commit.negatives.digest },
});
await committer.close();
await log.close();

const figures: RecoveryFigures = {
  warm,
  cold,
  memory_share: peak === null ? null : (peak - held) / blobs.reduce((sum, blob) => sum + blob.bytes, 0),
  blocked_seconds: blocked,
  unchanged: { bytes_written: report.bytesWritten, seconds: report.seconds },
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
