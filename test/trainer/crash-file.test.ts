import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLog } from '../../src/log/open-log.ts';
import { uniforms } from '../../src/random/philox.ts';
import { openRun } from '../../src/trainer/open-run.ts';
import { jsonOf, runCommand, startCommand } from '../cli/command.ts';
import { addBadRecords, expectExact, fillTopic, readRun, writeTinyModule } from './tiny-run.ts';

/**
 * The trainer as people start it, killed by the signal that no process can catch. What is to be killed has no end of its
 * own, so that no machine is too fast for it; all runs share one log.
 */
const FOR_EVER = ['--steps', '1000000'];
let folder: string;
let url: string;
let pipeline: string;

const run = (name: string) => join(folder, name);
const train = (name: string, ...more: string[]) => ['train', pipeline, '--run', run(name), '--log', url, ...more];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-train-'));
  url = `file:${join(folder, 'log')}`;
  pipeline = await writeTinyModule(folder);
  const log = await openLog(url);
  await fillTopic(log);
  await addBadRecords(log);
  await log.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Goes on to `steps`, and holds the outcome against a run that was never interrupted. */
async function expectExactAt(name: string, steps: number): Promise<void> {
  const { newest } = await readRun(run(name), url);
  const [last, whole] = [train(name), train(`${name}-whole`)].map((args) => [...args, '--steps', `${steps}`, '--json']);
  const end = await runCommand(last!);
  expect(end, end.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(jsonOf(end)).toMatchObject({ ended: 'steps', steps, steps_here: steps - newest.step });
  const uninterrupted = await runCommand(whole!);
  expect(uninterrupted, uninterrupted.stderr).toMatchObject({ code: 0 });
  const reference = await readRun(run(`${name}-whole`), url);
  expect(reference.steps).toHaveLength(steps);
  expectExact(await readRun(run(name), url), reference);
}

test('a run killed at chosen steps, three times in a row, ends bit for bit as one that was not', async () => {
  let committed = 0;
  for (const [steps, later] of [
    [17, 0],
    [31, 3],
    [40, 7],
  ] as const) {
    const trainer = startCommand(train('steps', ...FOR_EVER));
    await trainer.reaches('repulsor_step', committed + steps);
    await trainer.reaches('repulsor_committed_steps_total', committed + 1);
    await sleep(later);
    trainer.kill('SIGKILL');
    expect(await trainer.ended).toMatchObject({ signal: 'SIGKILL' });
    const { newest } = await readRun(run('steps'), url);
    expect(newest.step).toBeGreaterThan(committed);
    committed = newest.step;
  }
  // More than three epochs by then.
  await expectExactAt('steps', Math.max(committed + 12, 100));
}, 300_000);

test('a run killed at random times, in its start and its recovery too, ends bit for bit as one that was not', async () => {
  const seed = Number(process.env['REPULSOR_TEST_SEED'] ?? 1);
  const delays = uniforms(seed, 'kills', 0, 5).map((u) => 400 * u);
  // The first of them comes to a commit: those after it have something to recover.
  for (const [i, begins] of [/metrics at/, /metrics at/, /engine: /, /metrics at/, /engine: /].entries()) {
    const trainer = startCommand(train('times', ...FOR_EVER));
    await trainer.said(begins);
    if (i === 0) await trainer.reaches('repulsor_committed_steps_total', 1);
    await sleep(delays[i]);
    trainer.kill('SIGKILL');
    expect(await trainer.ended, `seed ${seed}`).toMatchObject({ signal: 'SIGKILL' });
  }
  const { newest } = await readRun(run('times'), url);
  await expectExactAt('times', Math.max(newest.step + 12, 100));
}, 300_000);

test('SIGINT ends with a commit of every step and status 130, and the run goes on as if nothing had been', async () => {
  const trainer = startCommand(train('sigint', ...FOR_EVER));
  await trainer.reaches('repulsor_step', 33);
  trainer.kill('SIGINT');
  const end = await trainer.ended;
  expect(end, end.stderr).toMatchObject({ code: 130, signal: null });
  const { steps } = await readRun(run('sigint'), url);
  expect(steps.length).toBeGreaterThanOrEqual(33);
  expect(end.stdout).toBe(
    `interrupted after step ${steps.length}, all committed; the same command goes on from there\n`,
  );
  await expectExactAt('sigint', Math.max(steps.length + 12, 100));
}, 240_000);

test.each(['SIGTERM', 'SIGHUP'] as const)(
  '%s ends as SIGINT does; machines get the step as JSON',
  async (signal) => {
    const trainer = startCommand(train(signal, ...FOR_EVER, '--json', '--metrics-port', '0'));
    await expect.poll(() => committedSteps(signal), { timeout: 100_000, interval: 20 }).toBeGreaterThan(0);
    trainer.kill(signal);
    const end = await trainer.ended;
    expect(end, end.stderr).toMatchObject({ code: 130, signal: null, stderr: '' });
    const { steps } = await readRun(run(signal), url);
    expect(jsonOf(end)).toMatchObject({ ended: 'interrupted', steps: steps.length, grid: null });
  },
  120_000,
);

/** By the last commit there is; 0 while there is no run folder, or no commit. */
async function committedSteps(name: string): Promise<number> {
  const there = await openRun(run(name)).catch(() => null);
  await there?.log.close();
  return there?.newest.commit.step ?? 0;
}

test('a second SIGINT ends at once: the step under way is not waited for, the last commit stands', async () => {
  // A step that takes a second or more, so that the second signal comes while the first one waits for it.
  const slow = ['model.patch=1', 'model.width=128', 'model.depth=8', 'operators.batch=32'];
  const trainer = startCommand(train('twice', ...FOR_EVER, ...slow.flatMap((setting) => ['--set', setting])));
  await trainer.said(/metrics at/);
  trainer.kill('SIGINT');
  await trainer.said(/stopping after this step/);
  const asked = performance.now();
  trainer.kill('SIGINT');
  const end = await trainer.ended;
  expect(performance.now() - asked).toBeLessThan(1_000);
  expect(end, end.stderr).toMatchObject({ code: 130, signal: null, stdout: '' });
  expect(await runCommand(['inspect', run('twice')])).toMatchObject({ code: 4 });
}, 120_000);

test('a trainer whose run another one takes over ends with status 3 at its next commit, and changes nothing', async () => {
  const first = startCommand(train('fenced', ...FOR_EVER, '--set', 'commit.everySteps=1000000'));
  await first.reaches('repulsor_step', 20);
  const second = startCommand(train('fenced', ...FOR_EVER));
  await second.reaches('repulsor_committed_steps_total', 5);
  first.kill('SIGINT');
  const end = await first.ended;
  expect(end, end.stderr).toMatchObject({ code: 3, stdout: '' });
  expect(end.stderr).toMatch(/error FENCED: .*\n {2}what to do: /);
  second.kill('SIGINT');
  expect(await second.ended).toMatchObject({ code: 130 });
  // Every commit is the second's: one epoch, one chain of steps from the first.
  const { commits, steps } = await readRun(run('fenced'), url);
  expect(new Set(commits.map(({ epoch }) => epoch)).size).toBe(1);
  expect(commits.at(-1)!.step).toBe(steps.length);
}, 240_000);
