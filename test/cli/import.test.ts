import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openWeights } from '../../src/weights/open-weights.ts';
import { jsonOf, runCommand } from './command.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-import-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Written by PyTorch (test/weights/make_fixtures.py): a SiT of two blocks of width 8. */
const fixture = (name: string) => join(import.meta.dirname, '..', 'weights', 'fixtures', name);
const SMALL = ['model.width=8', 'model.depth=2', 'model.heads=2'].flatMap((setting) => ['--set', setting]);

const run = async (...args: string[]) => {
  const end = await runCommand([...args, '--json'], { cwd: folder });
  expect(end, end.stderr).toMatchObject({ code: 0 });
  return jsonOf(end);
};
const tensors = async (path: string) =>
  (await decodeSafetensors([await readFile(path)], (await stat(path)).size, path)).tensors;

test('a checkpoint of train.py becomes a run: it is looked at, drawn from, and given back bit for bit', async () => {
  const args = ['--model', 'SiT-S/2', ...SMALL, '--to', 'runs/small'];
  const made = await run('import', fixture('train.pt'), ...args);
  expect(made).toMatchObject({ model: 'SiT-S/2', parameters: 5288, settings: { input: [8, 8, 4], classes: 5 } });
  expect(await run('inspect', 'runs/small')).toMatchObject({ step: 0 });
  await run('inspect', 'runs/small', '--verify');

  await run('export', 'runs/small', '--format', 'pt-names', '--weights', 'both', '--out', 'both.pt');
  const [given, got] = [await openWeights(fixture('train.pt')), await openWeights(join(folder, 'both.pt'))];
  for (const set of ['model', 'ema'] as const) {
    expect([...got[set].keys()].sort()).toEqual([...given[set].keys()].sort());
    for (const [name, tensor] of given[set]) {
      expect(got[set].get(name)!.shape).toEqual(tensor.shape);
      expect(Buffer.from((await got[set].get(name)!.read()).buffer)).toEqual(Buffer.from((await tensor.read()).buffer));
    }
  }
  await given.close();
  await got.close();

  await run('export', 'runs/small', '--out', 'plain.safetensors');
  const official = await tensors(fixture('ema.safetensors'));
  expect(
    new Map([...(await tensors(join(folder, 'plain.safetensors')))].map(([name, t]) => [`ema.${name}`, t])),
  ).toEqual(official);

  const noise = ['--noise', fixture('forward.safetensors'), '--labels', '3,1'];
  const how = ['--solver', 'heun', '--steps', '5', '--cfg', '1.5', '--out', 'out.safetensors'];
  expect(await run('sample', 'runs/small', ...noise, ...how)).toMatchObject({ images: 2, evaluations: 10 });
  expect((await tensors(join(folder, 'out.safetensors'))).get('samples')!.shape).toEqual([2, 4, 8, 8]);
}, 240_000);

test('what does not fit is named, and nothing is made', async () => {
  const end = await runCommand(['import', fixture('plain.pt'), '--model', 'SiT-S/2', '--to', 'runs/none', '--json'], {
    cwd: folder,
  });
  expect(end.code).toBe(2);
  const { error } = jsonOf(end) as { error: { code: string; message: string } };
  expect(error.code).toBe('STATE_MISMATCH');
  expect(error.message).toContain('x_embedder.proj.weight is (8, 4, 2, 2), the model has (384, 4, 2, 2)');
  expect(error.message).toContain('blocks.11.mlp.fc2.weight is missing');
  expect(await readdir(folder)).not.toContain('none');
  const evil = await runCommand(['import', fixture('evil.pt'), '--model', 'SiT-S/2', '--to', 'runs/none'], {
    cwd: folder,
  });
  expect(evil).toMatchObject({ code: 1, stderr: expect.stringMatching(/names posix\.system/) });
}, 120_000);
