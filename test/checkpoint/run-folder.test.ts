import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRunFolder, findRunFolder, openRunFolder } from '../../src/checkpoint/run-folder.ts';
import { runTopics, transactionalId } from '../../src/checkpoint/run-id.ts';
import { parseLogUrl } from '../../src/log/log-url.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-run-'));
});
afterEach(() => rm(folder, { recursive: true }));

const run = { run: 'digits-1', log: 'file:/data/log', pipeline: 'digits', created: '2026-11-25T10:00:00.000Z' };

test('a run is found again in its folder, and only run.json and blobs are made', async () => {
  const made = await createRunFolder(folder, run);
  expect(made).toEqual({ ...run, folder, blobs: join(folder, 'blobs') });
  expect(await openRunFolder(folder)).toEqual(made);
  expect((await readdir(folder)).sort()).toEqual(['blobs', 'run.json']);
});

test('a run whose blobs are elsewhere says so, in a format that earlier versions refuse', async () => {
  const store = 's3://bucket/runs/digits-1';
  const made = await createRunFolder(folder, { ...run, store });
  expect(made).toEqual({ ...run, store, folder, blobs: store });
  expect(await openRunFolder(folder)).toEqual(made);
  expect(await readdir(folder)).toEqual(['run.json']);
  expect(JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'))).toMatchObject({ formatVersion: 2, store });
});

test('no secret of a URL reaches the disk', async () => {
  const log = 'kafka://user:pa%2Fss@one:9092,two:9092?sasl=hunter2';
  const made = await createRunFolder(folder, { ...run, log });
  expect(made.log).toBe('kafka://one:9092,two:9092');
  expect(await readFile(join(folder, 'run.json'), 'utf8')).not.toMatch(/user|pa%2Fss|hunter2/);
});

test('a URL keeps the settings that are no secret, and paths that hold from any folder', async () => {
  const log = 'kafka://anna:hunter2@one:9093?ssl=true&ssl.ca=ca.pem&sasl=SCRAM-SHA-512&password=hunter2&username=anna';
  const made = await createRunFolder(folder, { ...run, log });
  const environment = { REPULSOR_KAFKA_SASL_USERNAME: 'anna', REPULSOR_KAFKA_SASL_PASSWORD: 'hunter2' };
  expect(made.log).not.toMatch(/anna|hunter2/);
  expect(parseLogUrl(made.log, environment)).toMatchObject({
    brokers: ['one:9093'],
    ssl: { ca: resolve('ca.pem') },
    sasl: { mechanism: 'scram-sha-512', username: 'anna', password: 'hunter2' },
  });
});

test('of several runs that begin in one folder at once, one does', async () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  const made = await Promise.allSettled(ids.map((id) => createRunFolder(folder, { ...run, run: id })));
  const begun = ids.filter((_, i) => made[i]!.status === 'fulfilled');
  expect(begun).toEqual([(await openRunFolder(folder)).run]);
  for (const outcome of made)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'USAGE' });
});

test('a second run in the folder is refused, the first one stays', async () => {
  await createRunFolder(folder, run);
  await expect(createRunFolder(folder, { ...run, run: 'other' })).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('digits-1'),
  });
  expect((await openRunFolder(folder)).run).toBe('digits-1');
});

test('a folder that is no run is told from one that is damaged or newer', async () => {
  expect(await findRunFolder(join(folder, 'absent'))).toBeNull();
  await expect(openRunFolder(folder)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining(folder),
  });
  for (const [text, code] of [
    ['{"formatVersion":1,"run":', 'STATE_DAMAGED'],
    ['null', 'STATE_DAMAGED'],
    [JSON.stringify({ formatVersion: 1, ...run, log: 5 }), 'STATE_DAMAGED'],
    [JSON.stringify(run), 'STATE_DAMAGED'],
    [JSON.stringify({ formatVersion: 2, ...run }), 'STATE_DAMAGED'],
    [JSON.stringify({ formatVersion: 3, anything: 1 }), 'FORMAT_NEWER'],
    [JSON.stringify({ formatVersion: 1, ...run, run: '../up' }), 'USAGE'],
  ] as const) {
    await writeFile(join(folder, 'run.json'), text);
    await expect(openRunFolder(folder)).rejects.toMatchObject({ code });
  }
});

test('a flipped bit of run.json never names another run', async () => {
  await createRunFolder(folder, run);
  const path = join(folder, 'run.json');
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at++) {
    const flipped = Buffer.from(whole);
    flipped[at]! ^= 1 << (at % 8);
    await writeFile(path, flipped);
    const found = await openRunFolder(folder).catch((error: { exitStatus: number }) => error.exitStatus);
    // White space, or the name of the checksum: then what it says is still whole.
    if (typeof found !== 'number') expect(found).toMatchObject(run);
    else expect(found).toBe(4);
  }
});

test('a folder with blobs of a run and without its run.json is no place for a new one', async () => {
  await createRunFolder(folder, run);
  await rm(join(folder, 'run.json'));
  await createRunFolder(folder, run); // nothing was written yet
  await rm(join(folder, 'run.json'));
  await writeFile(join(folder, 'blobs', 'any'), '');
  await expect(createRunFolder(folder, run)).rejects.toMatchObject({ code: 'STATE_MISSING', exitStatus: 4 });
});

test.each(['', '.hidden', '-x', 'a b', 'a/b', 'ü', 'x'.repeat(201)])('%j cannot name a run', async (id) => {
  await expect(createRunFolder(folder, { ...run, run: id })).rejects.toMatchObject({ code: 'USAGE' });
  expect(() => runTopics(id)).toThrow();
});

test("a run's topics are legal names of Kafka, and its writer has one id", () => {
  for (const topic of Object.values(runTopics('x'.repeat(200)))) expect(topic).toMatch(/^[A-Za-z0-9._-]{1,249}$/);
  expect(transactionalId('digits')).toBe('repulsor-digits');
});
