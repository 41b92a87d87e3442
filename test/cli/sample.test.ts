import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openLog } from '../../src/log/open-log.ts';
import { fillTopic, writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand } from './command.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-cli-'));
  const url = `file:${join(folder, 'log')}`;
  const log = await openLog(url);
  await fillTopic(log);
  await log.close();
  const args = [
    'train',
    await writeTinyModule(folder, { log: url }),
    '--run',
    'run',
    '--steps',
    '200',
    '--set',
    'optimizer.learningRate=1e-2',
  ];
  const end = await runCommand(args, { cwd: folder });
  expect(end, end.stderr).toMatchObject({ code: 0 });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Draws, and gives the PNG's bytes and what the command says of it. */
async function draw(...args: string[]): Promise<{ png: Buffer; said: Record<string, unknown> }> {
  const end = await runCommand(['sample', 'run', '--out', 'grid.png', '--json', ...args], { cwd: folder });
  expect(end, end.stderr).toMatchObject({ code: 0, stderr: '' });
  return { png: await readFile(join(folder, 'grid.png')), said: jsonOf(end) };
}

/** The image of the grid in this row and column, each pixel once. */
async function imageAt(png: Buffer, row: number, column: number): Promise<Buffer> {
  const [left, top] = [column, row].map((i) => 2 * (2 + i * 30));
  const area = sharp(png).extract({ left: left!, top: top!, width: 56, height: 56 });
  return area.resize(28, 28, { kernel: 'nearest' }).raw().toBuffer();
}

test('the same seed gives the same file, byte for byte, in another process; another seed another one', async () => {
  const args = ['--labels', '3,1', '--per-label', '2', '--steps', '3'];
  const first = await draw(...args);
  expect(first.said).toMatchObject({
    out: 'grid.png',
    step: 200,
    evaluations: 3,
    images: 4,
    solver: 'euler',
    steps: 3,
    guidance: 1.5,
    seed: 0,
  });
  const again = await draw(...args, '--seed', '0');
  expect(again.png.equals(first.png)).toBe(true);
  const other = await draw(...args, '--seed', '1');
  expect(other.png.equals(first.png)).toBe(false);
}, 120_000);

test('a row a label, in the order given; ranges and lists mix', async () => {
  const { png, said } = await draw('--labels', '7-9,0', '--per-label', '3', '--steps', '1');
  expect(said).toMatchObject({ images: 12 });
  expect(await sharp(png).metadata()).toMatchObject({ width: 2 * (3 * 30 + 2), height: 2 * (4 * 30 + 2), channels: 1 });
}, 120_000);

test('guidance 1 and 1.5 differ, and so do the solvers; the noise is the same', async () => {
  const args = ['--labels', '4', '--per-label', '1', '--steps', '4'];
  const drawn = [];
  for (const more of [
    ['--guidance', '1'],
    ['--guidance', '1.5'],
    ['--guidance', '1.5', '--solver', 'heun'],
  ])
    drawn.push(await imageAt((await draw(...args, ...more)).png, 0, 0));
  const [plain, guided, heun] = drawn as [Buffer, Buffer, Buffer];
  expect(guided.equals(plain)).toBe(false);
  expect(heun.equals(guided)).toBe(false);
  // So young a model hardly knows its labels: what differs are shades, not images.
  const mean = (a: Buffer, b: Buffer) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
  expect(mean(guided, plain)).toBeLessThan(20);
  expect(mean(heun, guided)).toBeLessThan(20);
}, 120_000);

test('without a word on them all classes are drawn once or more, into the run folder', async () => {
  const end = await runCommand(['sample', 'run', '--steps', '1'], { cwd: folder });
  expect(end.stdout).toBe('10 samples of step 200: run/samples-200.png\n');
  await readFile(join(folder, 'run', 'samples-200.png'));
}, 120_000);

test('raw arrays come with the noise they began as, from which any solver goes on', async () => {
  const raw = async (out: string, ...args: string[]) => {
    const end = await runCommand(['sample', 'run', '--labels', '3,1', '--out', out, '--json', ...args], {
      cwd: folder,
    });
    expect(end, end.stderr).toMatchObject({ code: 0 });
    const file = join(folder, out);
    return decodeSafetensors([await readFile(file)], (await stat(file)).size, file);
  };
  const first = await raw('first.safetensors', '--steps', '2', '--seed', '4');
  expect([...first.tensors.keys()].sort()).toEqual(['labels', 'noise', 'samples']);
  expect(first.tensors.get('samples')!.shape).toEqual([2, 28, 28, 1]);
  expect([...first.tensors.get('labels')!.data]).toEqual([3, 1]);
  expect(first.metadata).toMatchObject({ solver: 'euler', steps: '2', guidance: '1.5', layout: 'nhwc', step: '200' });
  const noise = ['--noise', 'first.safetensors'];
  const again = await raw('again.safetensors', '--steps', '2', ...noise);
  expect(again.tensors.get('samples')).toEqual(first.tensors.get('samples'));
  const set = ['--set', 'sampling.sde.diffusion=linear', '--set', 'sampling.guidanceInterval=[0,0.5]'];
  const other = await raw(
    'sde.safetensors',
    ...noise,
    '--solver',
    'euler-maruyama',
    '--steps',
    '4',
    '--cfg',
    '2',
    ...set,
  );
  expect(other.tensors.get('noise')).toEqual(first.tensors.get('noise'));
  expect(other.tensors.get('samples')).not.toEqual(first.tensors.get('samples'));
  expect(other.metadata).toMatchObject({ solver: 'euler-maruyama', guidance: '2' });
}, 120_000);

describe('what cannot be drawn is refused', () => {
  test.each([
    ['a setting that is not of sampling', ['--set', 'model.depth=3'], 2, 'USAGE', /no setting of sampling/],
    ['a setting that sampling has not', ['--set', 'sampling.tol=3'], 2, 'CONFIG', /Unrecognized key: "tol"/],
    ['noise that is not there', ['--noise', 'none.safetensors'], 2, 'USAGE', /none.safetensors cannot be read/],
    ['a class that the model does not know', ['--labels', '9-10'], 2, 'USAGE', /no class 10: the model knows 0 to 9/],
    ['labels that are none', ['--labels', 'cat'], 2, 'USAGE', /Give classes such as 0-9 or 3,1,4/],
    ['a range that runs backwards', ['--labels', '9-0'], 2, 'USAGE', /9-0 is no range/],
    ['a file where none can be', ['--out', 'no/such/folder/grid.png', '--steps', '1'], 1, 'STORE_FAILED', /no\/such/],
  ])(
    '%s',
    async (_name, args, code, error, message) => {
      const end = await runCommand(['sample', 'run', ...args, '--json'], { cwd: folder });
      expect(end.code).toBe(code);
      expect(jsonOf(end)).toMatchObject({ error: { code: error, message: expect.stringMatching(message) } });
    },
    30_000,
  );
});
