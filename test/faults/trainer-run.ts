import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommittedOutcome, readOutcome } from '../../src/certify/committed-outcome.ts';
import { compareRuns } from '../../src/certify/compare-runs.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { openRunFolder } from '../../src/checkpoint/run-folder.ts';
import { EXIT, RepulsorError } from '../../src/errors.ts';
import { openLog } from '../../src/log/open-log.ts';
import { addBadRecords, fillTopic, writeTinyModule } from '../trainer/tiny-run.ts';
import { Judged, type LogKind } from './fault.ts';
import type { Ground } from './ground.ts';
import { type Life, type LifeEnd, type LifeOptions, startLife } from './life.ts';
import { demandSame, saying } from './protocol-run.ts';

/** Runs of `repulsor train` itself, on a tiny pipeline: 201 digits and two bad records, a commit every 5 steps. */

const TOPIC = 'digits';
/** More than an epoch, so that the shuffle window and the dead letters are in it. */
export const TRAINED = 40;

export interface TrainerRun {
  /** For whoever looks, and for lives that no fault comes over. */
  readonly url: string;
  /** Holds the run's folder, and the log if that is one. */
  readonly folder: string;
  readonly pipeline: string;
}

const runFolder = ({ folder }: TrainerRun): string => join(folder, 'run');

async function fill(url: string): Promise<void> {
  const log = await openLog(url);
  await fillTopic(log, TOPIC);
  await addBadRecords(log, TOPIC);
  await log.close();
}

const pipelineOf = (ground: Ground): Promise<string> => ground.once('pipeline', () => writeTinyModule(ground.folder));

/** A run that is still to begin, its input there. */
export async function newTrainerRun(ground: Ground, log: LogKind): Promise<TrainerRun> {
  const folder = await ground.newFolder();
  const pipeline = await pipelineOf(ground);
  if (log === 'kafka') {
    const { directUrl } = await ground.kafka();
    await ground.once('digits on kafka', () => fill(directUrl));
    return { url: directUrl, folder, pipeline };
  }
  const filled = await ground.once('digits on a file log', async () => {
    const at = join(ground.folder, 'digits');
    await mkdir(at);
    await fill(`file:${at}`);
    return at;
  });
  await cp(filled, join(folder, 'log'), { recursive: true });
  return { url: `file:${join(folder, 'log')}`, folder, pipeline };
}

export async function copyTrainerRun(ground: Ground, run: TrainerRun): Promise<TrainerRun> {
  const folder = await ground.newFolder();
  await cp(run.folder, folder, { recursive: true });
  return { ...run, folder, url: `file:${join(folder, 'log')}` };
}

export interface TrainOptions extends LifeOptions {
  readonly steps?: number;
  readonly url?: string;
}

export function startTraining(run: TrainerRun, { steps = TRAINED, url = run.url, ...life }: TrainOptions = {}): Life {
  const where = ['--run', runFolder(run), '--log', url, '--topic', TOPIC];
  return startLife(['bin/repulsor.js', 'train', run.pipeline, ...where, '--steps', `${steps}`, '--json'], life);
}

/** Whether reading all that the run holds ends with status 4. */
export async function refusesToRead(run: TrainerRun): Promise<boolean> {
  try {
    await outcomeOf(run);
    return false;
  } catch (error) {
    if (error instanceof RepulsorError && error.exitStatus === EXIT.damaged) return true;
    throw error;
  }
}

async function outcomeOf(run: TrainerRun): Promise<CommittedOutcome | null> {
  const log = await openLog(run.url);
  try {
    const { blobs, run: id } = await openRunFolder(runFolder(run));
    if (!(await log.topics()).includes(`${id}.commits`)) return null;
    return await readOutcome({ log, store: await openFolderStore(blobs), run: id });
  } finally {
    await log.close();
  }
}

/** The same training, to `steps`, without any fault. */
export const trainedReference = (ground: Ground, steps: number): Promise<CommittedOutcome> =>
  ground.once(`trained to ${steps}`, async () => {
    const run = await newTrainerRun(ground, 'file');
    demandDone(await startTraining(run, { steps }).ended);
    return (await outcomeOf(run))!;
  });

export function demandDone(end: LifeEnd): void {
  if (end.code !== 0 || end.hung)
    throw new Judged('wrongly refused', `it does not go on: status ${end.code}; ${end.stdout} ${end.stderr}`);
}

/** Goes on to `steps`, and must be then what an uninterrupted training is. `told`: the step that must be committed already. */
export async function judgeTrainer(ground: Ground, run: TrainerRun, { told = 0, steps = TRAINED } = {}): Promise<void> {
  const end = await startTraining(run, { steps }).ended;
  demandDone(end);
  const { steps_here } = JSON.parse(end.stdout.split('\n').at(-1)!) as { steps_here: number };
  if (steps - steps_here < told)
    throw new Judged('lost', `step ${told} was committed; it went on from ${steps - steps_here}`);
  await judgeTrained(ground, run, steps);
}

export async function judgeTrained(ground: Ground, run: TrainerRun, steps: number): Promise<void> {
  let found: CommittedOutcome | null;
  try {
    found = await outcomeOf(run);
  } catch (error) {
    throw new Judged('silently accepted', `it went on, but cannot be read whole: ${saying(error)}`);
  }
  if (found === null) throw new Judged('lost', 'no commit is left');
  demandSame(compareRuns(found, await trainedReference(ground, steps)));
}
