import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLog } from '../../src/log/open-log.ts';
import { uniforms } from '../../src/random/philox.ts';
import { jsonOf, ROOT, runCommand, startCommand } from '../cli/command.ts';
import { kafkaForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';
import { addBadRecords, expectExact, fillTopic, readRun, writeTinyModule } from './tiny-run.ts';

const url = await kafkaForTests();

/** The same trainer on a real broker: what changes is one URL. */
describe.runIf(url !== null)('a trainer on Kafka', () => {
  const topic = newName('images');
  const forEver = ['--steps', '1000000'];
  let folder: string;
  let fileUrl: string;
  let pipeline: string;
  const run = (name: string) => join(folder, name);
  const train = (name: string, ...more: string[]) => [
    ...['train', pipeline, '--run', run(name), '--log', url!, '--topic', topic, ...more],
  ];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repulsor-train-'));
    fileUrl = `file:${join(folder, 'log')}`;
    pipeline = await writeTinyModule(folder);
    for (const each of [url!, fileUrl]) {
      const log = await openLog(each);
      await fillTopic(log, topic);
      await addBadRecords(log, topic);
      await log.close();
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('killed at random moments, three times in a row, ends bit for bit as one on a file log that was not', async () => {
    let committed = 0;
    const seed = Number(process.env['REPULSOR_TEST_SEED'] ?? 1);
    for (const later of uniforms(seed, 'kills', 0, 3).map((u) => 400 * u)) {
      const trainer = startCommand(train('killed', ...forEver));
      await trainer.reaches('repulsor_committed_steps_total', committed + 1);
      await sleep(later);
      trainer.kill('SIGKILL');
      expect(await trainer.ended, `seed ${seed}`).toMatchObject({ signal: 'SIGKILL' });
      const { newest } = await readRun(run('killed'), url!);
      expect(newest.step).toBeGreaterThan(committed);
      committed = newest.step;
    }
    const steps = Math.max(committed + 12, 100);
    const last = await runCommand(train('killed', '--steps', `${steps}`, '--json'));
    expect(last, last.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(jsonOf(last)).toMatchObject({ steps, steps_here: steps - committed });
    const whole = await runCommand([...train('whole', '--steps', `${steps}`), '--log', fileUrl]);
    expect(whole, whole.stderr).toMatchObject({ code: 0 });
    expectExact(await readRun(run('killed'), url!), await readRun(run('whole'), fileUrl));
  }, 240_000);

  test('ends with status 3 at its next commit when another one takes its run over, and changes nothing', async () => {
    const first = startCommand(train('fenced', ...forEver, '--set', 'commit.everySteps=1000000'));
    await first.reaches('repulsor_step', 20);
    const second = startCommand(train('fenced', ...forEver));
    await second.reaches('repulsor_committed_steps_total', 5);
    first.kill('SIGINT');
    const end = await first.ended;
    expect(end, end.stderr).toMatchObject({ code: 3, stdout: '' });
    expect(end.stderr).toMatch(/error FENCED: .*\n {2}what to do: /);
    second.kill('SIGINT');
    expect(await second.ended).toMatchObject({ code: 130 });
    const { commits, steps } = await readRun(run('fenced'), url!);
    expect(new Set(commits.map(({ epoch }) => epoch)).size).toBe(1);
    expect(commits.at(-1)!.step).toBe(steps.length);
  }, 240_000);

  test('follows a topic as pipelines/continual.ts does, and goes on where it was', async () => {
    const follow = ['train', join(ROOT, 'pipelines/continual.ts'), '--log', url!, '--topic', topic];
    const small = ['--set', 'model.width=8', '--set', 'model.patch=14', '--set', 'operators.shuffle=50'];
    const args = [...follow, ...small, '--run', run('continual'), '--set', 'sampling.perLabel=0', '--json'];
    const port = ['--metrics-port', '0'];
    // 201 images in records of 13 fill three windows of 50: four batches of 32, and then it would wait for more.
    expect(jsonOf(await runCommand([...args, ...port, '--steps', '3']))).toMatchObject({ steps: 3, steps_here: 3 });
    expect(jsonOf(await runCommand([...args, ...port, '--steps', '4']))).toMatchObject({ steps: 4, steps_here: 1 });
    const { steps } = await readRun(run('continual'), url!);
    const ids = steps.flatMap(({ samples }) => samples.map((sample) => JSON.stringify(sample)));
    expect(new Set(ids).size).toBe(4 * 32);
  }, 240_000);
});
