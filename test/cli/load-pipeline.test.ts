import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadPipeline } from '../../src/cli/load-pipeline.ts';
import { writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand } from './command.ts';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-cli-'));
  file = await writeTinyModule(folder, {});
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('an override reaches into a list by its place, and leaves the rest of it', async () => {
  const [height, width, channels] = (await loadPipeline(file, [])).model.input;
  const { input } = (await loadPipeline(file, [`model.input.1=${2 * width}`])).model;
  expect(input).toEqual([height, 2 * width, channels]);
});

test.each(['model.input.3=1', 'model.input.x=1', 'model.input.-1=1'])(
  '%s is refused: there is no such place',
  async (override) => {
    await expect(loadPipeline(file, [override])).rejects.toMatchObject({ code: 'CONFIG' });
  },
);

test('a dry run prints every setting, with the overrides, as JSON, and trains nothing', async () => {
  const args = ['train', file, '--dry-run', '--set', 'optimizer.learningRate=0.5', '--run', join(folder, 'run')];
  const end = await runCommand([...args, '--json'], { cwd: folder });
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(jsonOf(end)).toEqual(JSON.parse(JSON.stringify(await loadPipeline(file, ['optimizer.learningRate=0.5']))));
  const secret = await runCommand([...args, '--log', 'kafka://me:hunter2@localhost:9092?sasl=plain&ssl=true'], {
    cwd: folder,
  });
  expect(secret.code).toBe(0);
  expect(secret.stdout).not.toContain('hunter2');
  expect(JSON.parse((await runCommand(args, { cwd: folder })).stdout)).toEqual(jsonOf(end));
});
