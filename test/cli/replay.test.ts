import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { openLog } from '../../src/log/open-log.ts';
import { kafkaForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';
import { addBadRecords, fillTopic, readRun, writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand, startCommand } from './command.ts';

/** The command as people start it, over runs that were killed on the way; on both logs, and over an archive. */
const kafka = await kafkaForTests();
const logs = [{ name: 'file', url: null }, ...(kafka === null ? [] : [{ name: 'kafka', url: kafka }])];

describe.each(logs)('replay of a run on a $name log', ({ url: broker }) => {
  let folder: string;
  let url: string;
  let pipeline: string;
  let last = 0;
  const topic = newName('images');
  const run = () => join(folder, 'run');
  const replay = (...more: string[]) => runCommand(['replay', run(), '--json', ...more]);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repulsor-replay-'));
    url = broker ?? `file:${join(folder, 'log')}`;
    pipeline = await writeTinyModule(folder);
    const log = await openLog(url);
    await fillTopic(log, topic);
    await addBadRecords(log, topic);
    await log.close();
    const train = ['train', pipeline, '--run', run(), '--log', url, '--topic', topic];
    for (let i = 0; i < 2; i++) {
      const trainer = startCommand([...train, '--steps', '1000000']);
      await trainer.reaches('repulsor_committed_steps_total', last + 5);
      trainer.kill('SIGKILL');
      await trainer.ended;
      last = (await readRun(run(), url)).newest.step;
    }
    last += 10;
    const end = await runCommand([...train, '--steps', `${last}`, '--set', 'optimizer.learningRate=2e-4']);
    expect(end, end.stderr).toMatchObject({ code: 0 });
  }, 240_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('that was killed, resumed and changed: identical, status 0', async () => {
    const end = await replay();
    expect(end, end.stderr).toMatchObject({ code: 0, stderr: '' });
    const { commits } = await readRun(run(), url);
    expect(jsonOf(end)).toMatchObject({
      from: 0,
      to: last,
      identical_through: last,
      diverged: null,
      steps: last,
      commits: commits.length,
      engine: { same: true },
    });
  }, 120_000);

  test('in an archive that `log copy` made, and up to the record that is missing there: status 4', async () => {
    const archive = `file:${join(folder, 'archive')}`;
    const copied = await runCommand(['log', 'copy', url, archive, '--run', run()]);
    expect(copied, copied.stderr).toMatchObject({ code: 0 });
    const whole = await replay('--log', archive);
    expect(whole, whole.stderr).toMatchObject({ code: 0 });
    expect(jsonOf(whole)).toMatchObject({ identical_through: last, diverged: null, log: archive });
    await rm(join(folder, 'archive', 'topics', topic), { recursive: true });
    const without = await replay('--log', archive);
    expect(without.code).toBe(4);
    expect(jsonOf(without)).toMatchObject({ identical_through: 0, diverged: { step: 1, what: 'records' } });
  }, 120_000);

  test.runIf(broker === null)(
    'with other threads, or another engine: said, status 1 bit for bit and 0 by value',
    async () => {
      const wasm = await replay('--engine', 'wasm', '--to', '12');
      expect(wasm.code).toBe(1);
      expect(wasm.stderr).toMatch(
        /^warning: steps were trained with "native .*", and this is "wasm .*--tolerance compares/m,
      );
      const { diverged, identical_through } = jsonOf(wasm) as { diverged: { step: number }; identical_through: number };
      expect(identical_through).toBe(diverged.step - 1);
      const within = await replay('--engine', 'wasm', '--to', '12', '--tolerance', '1e-3');
      expect(within.code).toBe(0);
      expect(jsonOf(within)).toMatchObject({
        tolerance: 1e-3,
        identical_through: 12,
        max_deviation: { loss: { value: expect.any(Number) }, keys: { value: expect.any(Number) } },
        engine: { same: false, recorded: [expect.stringMatching(/^native /)] },
      });
      const one = await replay('--threads', '1', '--to', '3', '--tolerance', '1e-3');
      expect(one.stderr).toMatch(/1 threads/);
      expect(one.code).toBe(0);
      const people = await runCommand(['replay', run(), '--to', '3']);
      expect(people.stdout).toMatch(
        /^identical through step 3 \(steps 1 to 3 trained again, the state of \d commits? compared\)\n$/,
      );
      expect(people.stderr).toMatch(/^step 3\/3/m);
    },
    240_000,
  );

  test.runIf(broker === null)(
    'with damaged weights to begin with, or steps that are not: status 4 and 2',
    async () => {
      expect((await replay('--to', `${last + 1}`)).code).toBe(2);
      const { newest } = await readRun(run(), url);
      const blobs = join(run(), 'blobs');
      const owned = (await (await openFolderStore(blobs)).list()).filter(
        ({ sha256 }) => sha256 === newest.blobs[0]!.sha256,
      );
      for (const { sha256, owner } of owned) await writeFile(join(blobs, `${sha256}-${owner}`), 'damaged');
      const end = await replay('--from', `${last}`);
      expect(end.code).toBe(4);
      expect(jsonOf(end)).toMatchObject({ error: { code: 'STATE_DAMAGED' } });
    },
    120_000,
  );
});
