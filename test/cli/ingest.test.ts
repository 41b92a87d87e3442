import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRun, writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand } from './command.ts';

/** A folder of pictures becomes a topic, and a model is trained on it. */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-cli-'));
  for (const [i, kind] of ['night', 'day'].entries()) {
    await mkdir(join(folder, 'photos', kind), { recursive: true });
    for (let n = 0; n < 12; n++) {
      const format = (['png', 'jpeg', 'webp'] as const)[n % 3]!;
      const background = { r: 200 * i, g: 20 * n, b: 90 };
      const picture = sharp({ create: { width: 40 + n, height: 50, channels: 3, background } }).toFormat(format);
      await picture.toFile(join(folder, 'photos', kind, `${n}.${format === 'jpeg' ? 'jpg' : format}`));
    }
  }
  await writeFile(join(folder, 'photos', 'day', 'broken.png'), 'no picture');
  await writeFile(join(folder, 'photos', 'day', 'notes.txt'), 'passed over');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const command = (...args: string[]) => runCommand(args, { cwd: folder });

test('a folder of pictures of three formats becomes a topic; a broken one is named', async () => {
  const to = ['--to', 'file:log', '--topic', 'photos', '--partitions', '2', '--batch', '5'];
  const end = await command('ingest', 'photos', ...to, '--size', '28x28', '--grey', '--json');
  expect(end).toMatchObject({ code: 0 });
  expect(end.stderr).toBe('warning: day/broken.png: it is neither PNG, JPEG nor WebP inside\n');
  expect(jsonOf(end)).toMatchObject({
    topic: 'photos',
    log: 'file:log',
    source: 'folder:photos',
    classes: ['day', 'night'],
    images: 24,
    records: 5,
    unreadable: 1,
  });
  const topic = jsonOf(await command('inspect', '--topic', 'photos', '--log', 'file:log', '--json'));
  const partitions = topic['partitions'] as { partition: number; earliest: number; end: number }[];
  expect(partitions).toEqual([
    { partition: 0, earliest: 0, end: 3 },
    { partition: 1, earliest: 0, end: 2 },
  ]);
}, 120_000);

test('every tenth is held out in a topic of its own', async () => {
  const args = ['--to', 'file:log', '--topic', 'part', '--held-out', 'rest', '--size', '28x28', '--json'];
  const end = await command('ingest', 'photos', ...args);
  expect(jsonOf(end)).toMatchObject({ images: 22, held_out: { topic: 'rest', images: 2 }, unreadable: 1 });
  const again = jsonOf(await command('ingest', 'photos', ...args, '--if-empty'));
  expect(again).toMatchObject({ images: 0, held_out: { topic: 'rest', images: 0 } });
  const shown = jsonOf(await command('log', 'show', 'file:log', 'rest', '--json'));
  expect(shown['records']).toMatchObject([{ value: { labels: [expect.any(Number), expect.any(Number)] } }]);
  const same = await command('ingest', 'photos', ...args.slice(0, 4), '--held-out', 'part');
  expect(same).toMatchObject({ code: 2, stderr: expect.stringMatching(/--held-out part is the topic/) });
}, 120_000);

test('a model of two classes trains on them, from another folder too', async () => {
  const source = { topic: 'photos', follow: false };
  const pipeline = await writeTinyModule(folder, { source, sampling: { perLabel: 2, steps: 2 } });
  const train = ['train', pipeline, '--run', join(folder, 'run'), '--set', 'model.classes=2'];
  const end = await command(...train, '--log', 'file:log', '--steps', '8', '--json');
  expect(end, end.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(jsonOf(end)).toMatchObject({ steps: 8, samples: 56, grid: join(folder, 'run', 'samples-8.png') });
  const grid = sharp(join(folder, 'run', 'samples-8.png'));
  expect(await grid.metadata()).toMatchObject({ width: 2 * 62, height: 2 * 62 });
  const { steps } = await readRun(join(folder, 'run'), `file:${join(folder, 'log')}`);
  const ids = steps.flatMap(({ samples }) =>
    samples.map(({ partition, offset, index }) => `${partition} ${offset} ${index}`),
  );
  expect(new Set(ids.slice(0, 24)).size).toBe(24);
  // The run's log was named relative to a folder, but is found from any.
  const elsewhere = await runCommand(['inspect', join(folder, 'run'), '--json'], { cwd: tmpdir() });
  expect(jsonOf(elsewhere)).toMatchObject({ step: 8, log: `file:${join(folder, 'log')}` });
  const on = await runCommand([...train, '--log', `file:${join(folder, 'log')}`, '--steps', '9'], { cwd: tmpdir() });
  expect(on, on.stderr).toMatchObject({ code: 0 });
  expect(on.stderr).toMatch(/goes on after step 8;/);
}, 120_000);

test('pictures stored as they are are decoded by the trainer; those of another size are set aside, and told of', async () => {
  const end = await command('ingest', 'photos', '--to', 'file:log', '--topic', 'originals', '--json');
  expect(jsonOf(end)).toMatchObject({ images: 24, unreadable: 1 });
  const pipeline = await writeTinyModule(folder, {
    source: { topic: 'originals', follow: false, epochs: 1 },
    model: { input: [50, 40, 3], patch: 10, width: 8, depth: 2, heads: 2, classes: 2 },
    operators: { shuffle: 1, batch: 2, badRecords: 1 },
  });
  const trained = await command('train', pipeline, '--run', 'originals', '--log', 'file:log', '--json');
  expect(trained, trained.stderr).toMatchObject({ code: 0 });
  expect(jsonOf(trained)).toMatchObject({ ended: 'topic', steps: 1, samples: 2 });
  const { deadLetters } = await readRun(join(folder, 'originals'), `file:${join(folder, 'log')}`);
  expect(new Set(deadLetters.map(({ reason }) => reason))).toEqual(new Set(['shape']));
  expect(deadLetters).toHaveLength(11); // one for each other width: its two pictures lie in one record
}, 120_000);
