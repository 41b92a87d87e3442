import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLog } from '../../src/log/open-log.ts';
import { kafkaForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';
import { expectSame, fillTopic, readRun, writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand, startCommand } from './command.ts';

const kafka = await kafkaForTests();

/** A run in the copy of its log is the run: it reads the same, and goes on the same. */
describe.runIf(kafka !== null)('a run whose log was copied', () => {
  const topic = newName('images');
  const fromFile = newName('images-of-a-file');
  let folder: string;
  let pipeline: string;
  const run = (name: string) => join(folder, name);
  const file = (name: string) => `file:${join(folder, name)}`;
  const train = (name: string, log: string, steps: number, of = topic) =>
    runCommand(['train', pipeline, '--run', run(name), '--log', log, '--topic', of, '--steps', `${steps}`, '--json']);
  const ok = async (end: ReturnType<typeof runCommand>) => {
    const result = await end;
    expect(result, result.stderr).toMatchObject({ code: 0 });
    return jsonOf(result);
  };
  const inspect = (name: string, log: string, ...more: string[]) =>
    runCommand(['inspect', run(name), '--log', log, ...more, '--json']);
  const copy = (name: string, from: string, to: string) => ['log', 'copy', from, to, '--run', run(name), '--json'];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repulsor-archive-'));
    pipeline = await writeTinyModule(folder);
    for (const [url, of] of [
      [kafka!, topic],
      [file('log'), fromFile],
    ] as const) {
      const log = await openLog(url);
      await fillTopic(log, of);
      await log.close();
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('from Kafka into a folder, killed in the middle and done again', async () => {
    await ok(train('original', kafka!, 23));
    const killed = startCommand(copy('original', kafka!, file('archive')));
    const archive = await openLog(file('archive'));
    while (!(await archive.topics()).some((name) => name.endsWith('.negatives')))
      await new Promise((resolve) => setTimeout(resolve, 2));
    killed.kill('SIGKILL');
    await killed.ended;
    await archive.close();
    // Half a copy has no commit that names what is not there.
    const half = await inspect('original', file('archive'), '--verify');
    expect([0, 4]).toContain(half.code);
    if (half.code === 4) expect(jsonOf(half)).toMatchObject({ error: { code: 'STATE_MISSING' } });

    const copied = (await ok(runCommand(copy('original', kafka!, file('archive'))))) as {
      partitions: { topic: string; records: number }[];
    };
    expect(copied.partitions.map(({ topic: name }) => name.replace(/^.*\./, ''))).toEqual([
      topic,
      topic,
      'negatives',
      'journal',
      'dead-letters',
      'commits',
    ]);
    // A commit that falls due while one is under way comes later: which steps are committed only the run knows.
    const { kept } = (await ok(inspect('original', kafka!))) as { kept: { step: number }[] };
    expect(kept.length).toBeGreaterThan(1);
    for (const asked of [
      [],
      ['--queue', '--at', `${kept.at(-1)!.step}`],
      ['--step', '17'],
      ['--record', `${topic}/1/3`],
      ['--verify'],
    ]) {
      const original = await ok(inspect('original', kafka!, ...asked));
      expect(await ok(inspect('original', file('archive'), ...asked))).toEqual(
        'log' in original ? { ...original, log: file('archive') } : original,
      );
    }
  }, 400_000);

  test('goes on there as the original does, and is another history from then on', async () => {
    await cp(run('original'), run('resumed'), { recursive: true });
    await ok(train('original', kafka!, 41));
    await ok(train('resumed', file('archive'), 41));
    const original = await readRun(run('original'), kafka!);
    expect(original.newest.step).toBe(41);
    expectSame(await readRun(run('resumed'), file('archive')), original);
    const over = await runCommand(copy('original', kafka!, file('archive')));
    expect(over.code).toBe(2);
    expect(jsonOf(over)).toMatchObject({ error: { code: 'STATE_MISMATCH' } });
  }, 400_000);

  test('from a folder into Kafka, where it goes on as one that stayed does', async () => {
    await ok(train('moved', file('log'), 13, fromFile));
    await cp(run('moved'), run('stayed'), { recursive: true });
    await cp(join(folder, 'log'), join(folder, 'log-of-stayed'), { recursive: true });
    await ok(runCommand(copy('moved', file('log'), kafka!)));
    await ok(train('moved', kafka!, 31, fromFile));
    await ok(train('stayed', file('log-of-stayed'), 31, fromFile));
    expectSame(await readRun(run('moved'), kafka!), await readRun(run('stayed'), file('log-of-stayed')));
  }, 400_000);
});
