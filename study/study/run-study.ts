import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Console } from '../../src/cli/console.ts';
import { interruption } from '../../src/cli/interruption.ts';
import { statusLine } from '../../src/cli/status-line.ts';
import { EXIT } from '../../src/errors.ts';
import { duration } from '../../src/metrics/progress-format.ts';
import { measureStepTimes, type TimeSettings } from './measure-step-times.ts';
import { planned, type Task } from './plan.ts';
import { prepare } from './prepare.ts';
import { atATime, runTask } from './processes.ts';
import { Progress } from './progress.ts';
import { type Measurement, readMeasurements } from './results.ts';
import type { ImageSetOfStudy, SetName } from './sets.ts';
import { keptSettings } from './settings-file.ts';
import { type StepTimes, storedStepTimes, storeStepTimes } from './step-times.ts';

export interface StudySettings {
  readonly sets: readonly ImageSetOfStudy[];
  readonly steps: Readonly<Record<SetName, number>>;
  readonly seeds: number;
  readonly marks: number;
  readonly samples: number;
  readonly jobs: number;
  readonly threads: number;
  readonly out: string;
  readonly times: Omit<TimeSettings, 'note' | 'threads'>;
}

export const filesOf = (out: string) => ({
  settings: join(out, 'study.json'),
  times: join(out, 'step-times.json'),
  results: join(out, 'results.jsonl'),
});

/** Every run of the study that is not measured yet; the exit status. */
export async function runStudy(settings: StudySettings, console: Console): Promise<number> {
  const { sets, out, jobs } = settings;
  const files = filesOf(out);
  const log = `file:${join(out, 'log')}`;
  await mkdir(out, { recursive: true });
  const kept = await keptSettings(files.settings, settings, () => stepTimes(settings, console));
  for (const set of sets) await prepare(set, { out, log, note: console.note });
  const tasks = planned(sets, { ...settings, ...kept, log });
  const measured = await readResults(files.results);
  const missing = (task: Task) => task.marks.filter((mark) => !measured.some((one) => isOf(one, task, mark)));
  const line = statusLine(console.json);
  const interrupt = interruption('stopping each run with a commit; the same command goes on', line.note, 500);
  const failure = new AbortController();
  const signal = AbortSignal.any([interrupt.signal, failure.signal]);
  const left = tasks.filter((task) => missing(task).length > 0);
  const progress = new Progress(tasks, (task) => task.marks.length - missing(task).length);
  line.note(`${tasks.length} runs in ${out}, ${tasks.length - left.length} of them done already, ${jobs} at a time`);
  const told = setInterval(() => line.status(progress.words()), 1_000);
  try {
    await atATime(left, jobs, async (task) => {
      if (signal.aborted) return;
      const begun = performance.now();
      let writing = Promise.resolve();
      const onMeasured = (one: Measurement) => {
        measured.push(one);
        writing = writing.then(() => appendFile(files.results, `${JSON.stringify(one)}\n`));
        const at = `step ${one.step}: FID ${one.fid.toPrecision(4)}, ${(100 * one.accuracy).toFixed(1)}% as asked`;
        line.note(`${task.name}, ${at}`);
      };
      try {
        const done = await runTask(task, missing(task), {
          signal,
          onSaid: (said) => {
            if ('step' in said) progress.at(task, said.step);
            else if ('measured' in said) onMeasured(said.measured);
          },
        });
        if (done)
          line.note(`${task.name}: done in ${duration((performance.now() - begun) / 1000)}; ${progress.words()}`);
      } catch (error) {
        failure.abort();
        throw error;
      } finally {
        await writing;
      }
    });
  } finally {
    clearInterval(told);
    line.end();
    interrupt.restore();
  }
  return interrupt.signal.aborted ? EXIT.interrupted : EXIT.done;
}

/** As measured before in this folder, or now. */
async function stepTimes({ sets, out, threads, times: how }: StudySettings, { note }: Console): Promise<StepTimes> {
  const { times: file } = filesOf(out);
  const stored = await storedStepTimes(file);
  const isTimed = ({ name, variants }: ImageSetOfStudy) =>
    variants.every((variant) => variant.budget === 'time' || stored?.sets[name]?.[variant.name] !== undefined);
  if (stored !== null && sets.every(isTimed)) return stored;
  const times = await measureStepTimes(sets, { ...how, threads, note });
  await storeStepTimes(file, times);
  return times;
}

const isOf = (one: Measurement, task: Task, mark: number): boolean =>
  one.set === task.set && one.variant === task.variant && one.seed === task.seed && one.step === mark;

export async function readResults(file: string): Promise<Measurement[]> {
  return readMeasurements(await readFile(file, 'utf8').catch(() => ''));
}
