import { access, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommandEnd, jsonOf, ROOT, runCommand } from './command.ts';

/**
 * Every example that a command's --help shows, run as it stands there, in a folder of its own (those of latents: latents.test.ts). What would take minutes gets
 * fewer steps, and a broker's address becomes a file log's.
 */
let folder: string;
const shown = new Map<string, string[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-cli-'));
  await symlink(join(ROOT, 'pipelines'), join(folder, 'pipelines'));
  for (const command of [
    'train',
    'sweep',
    'replay',
    'sample',
    'evaluate',
    'train-classifier',
    'import',
    'export',
    'inspect',
    'ingest',
    'log',
    'certify',
    'doctor',
  ]) {
    const help = await runCommand([command, '--help'], { cwd: folder });
    expect(help, help.stderr).toMatchObject({ code: 0, stderr: '' });
    const examples = help.stdout.split(/^Examples?:$/m)[1] ?? '';
    shown.set(
      command,
      [...examples.matchAll(/^ {2}repulsor (.+)$/gm)].map(([, line]) => line!),
    );
  }
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function example(command: string, index: number, ...more: string[]): Promise<CommandEnd> {
  const line = shown.get(command)![index]!;
  const args = line.replace('kafka://localhost:9092', 'file:runs/log').split(' ');
  expect(args[0]).toBe(command);
  const end = await runCommand([...args, ...more], { cwd: folder });
  expect(end, `${line}: ${end.stderr}`).toMatchObject({ code: 0, signal: null });
  return end;
}

const few = ['--set', 'sampling.steps=1', '--set', 'sampling.perLabel=1', '--metrics-port', '0'];
/** A model whose steps take milliseconds. */
const small = ['--set', 'model.width=8', '--set', 'model.patch=14'];

test('each command shows how it is used', () => {
  const counts = [...shown].map(([command, examples]) => [command, examples.length]);
  expect(counts).toEqual([
    ['train', 3],
    ['sweep', 2],
    ['replay', 2],
    ['sample', 4],
    ['evaluate', 4],
    ['train-classifier', 1],
    ['import', 1],
    ['export', 1],
    ['inspect', 6],
    ['ingest', 4],
    ['log', 4],
    ['certify', 2],
    ['doctor', 2],
  ]);
});

test('train', async () => {
  const end = await example('train', 0, '--steps', '3', ...few);
  expect(end.stdout).toBe('3 steps done, all committed; samples: runs/digits/samples-3.png\n');
  expect(end.stderr).toMatch(/^engine: native/m);
  expect(end.stderr).toMatch(
    /^1000 images in 10 records, held out, in topic digits-held-out\n9000 images in 90 records$/m,
  );
  await access(join(folder, 'runs/digits/samples-3.png'));
  const second = jsonOf(await example('train', 1, '--json', ...few, ...small));
  expect(second).toMatchObject({
    ended: 'steps',
    steps: 50,
    samples: 1600,
    engine: 'native',
    grid: 'runs/try/samples-50.png',
  });
}, 240_000);

test('train --from', async () => {
  const end = await example('train', 2, ...few, ...small);
  expect(end.stderr).toMatch(
    /^run digits-\w+ in runs\/tuned: begins with params, ema, slow, queue of digits-\w+@50; /m,
  );
  expect(end.stdout).toMatch(/^20 steps done, all committed/);
}, 240_000);

test('sweep', async () => {
  const tiny = [
    '--set',
    'sampling.perLabel=0',
    '--set',
    'model.width=8',
    '--steps',
    '2',
    '--seeds',
    '1',
    '--metrics',
    'flow',
  ];
  const end = await example('sweep', 0, ...tiny);
  expect(end.stdout).toMatch(/^queue +runs +flow\n0 +1\/1 .*\n1024 +1\/1 .*\n4096 +1\/1 .*\n16384 +1\/1 /);
  await access(join(folder, 'runs/sweep-digits/report.html'));
  expect(jsonOf(await example('sweep', 1, ...tiny, '--json'))).toMatchObject({
    done: 2,
    failed: 0,
    missing: 0,
    steps: 2,
  });
}, 240_000);

test('replay', async () => {
  expect(jsonOf(await example('replay', 0))).toMatchObject({
    identical_through: 3,
    diverged: null,
    steps: 3,
    max_deviation: null,
    engine: { same: true },
  });
  const other = await example('replay', 1);
  expect(other.stderr).toMatch(/^warning: steps were trained with "native .*", and this is "wasm .*"$/m);
  expect(other.stdout).toMatch(/^within 0.001 through step 2 .*; largest deviations: loss \S+ \(\w+, step \d\), /);
}, 240_000);

test('sample', async () => {
  const end = await example('sample', 0, '--steps', '1');
  expect(end.stdout).toBe('100 samples of step 3: grid.png\n');
  // Ten rows of ten images of 28 pixels, 2 apart, and each pixel twice as large.
  const size = 2 * (10 * 30 + 2);
  expect(await sharp(join(folder, 'grid.png')).metadata()).toMatchObject({ format: 'png', width: size, height: size });
  expect((await example('sample', 1)).stdout).toBe('2 samples of step 3: noise.safetensors\n');
  expect(jsonOf(await example('sample', 2, '--json'))).toMatchObject({
    ...{ out: 'out.safetensors', images: 2, solver: 'heun', steps: 25, guidance: 1.5, evaluations: 50 },
  });
}, 120_000);

test('evaluate', async () => {
  // The later of a flag that is given twice counts.
  const few = ['--samples', '40', '--steps', '1'];
  const first = jsonOf(await example('evaluate', 0, ...few));
  expect(first).toMatchObject({
    ...{
      step: 3,
      reference: 'digits-held-out',
      samples: 40,
      reference_images: 1_000,
      extractor: 'digits',
      precision: 0,
    },
    ...{ solver: 'euler', steps: 1, inception_score: expect.any(Number), accuracy: expect.any(Number) },
  });
  expect(await sharp(join(folder, 'runs/digits/evaluation-3.png')).metadata()).toMatchObject({ format: 'png' });
  const second = await example('evaluate', 1, ...few);
  expect(second.stdout).toMatch(/^fid +\d+\.?\d*$/m);
  expect(second.stdout).toMatch(/^class 9 +fid \S+ of 4 against \d+$/m);
  // A set has no distance to itself.
  const exact = jsonOf(await example('evaluate', 3, '--metrics', 'fid,kid', '--kid', 'exact', '--json'));
  expect(exact).toMatchObject({ fid: 0, kid: expect.any(Number), kid_std: 0 });
  const features = jsonOf(await example('evaluate', 2, '--set', 'evaluation.images=60', '--json'));
  expect(features).toMatchObject({
    ...{ step: 3, knn_accuracy: expect.any(Number), linear_probe: expect.any(Number), alignment: expect.any(Number) },
    representation_of: { topic: 'digits-held-out', images: 60, block: 1, time: 0.9 },
  });
  expect(features).not.toHaveProperty('samples');
}, 240_000);

test('train-classifier', async () => {
  const end = await example('train-classifier', 0, '--epochs', '1', '--json');
  const said = jsonOf(end);
  expect(said).toMatchObject({ out: 'digits-classifier.safetensors', classes: 10, held_out: 1000, epochs: 1 });
  expect(said['accuracy']).toBeGreaterThan(0.8);
  // And it is an extractor.
  const args = [
    '--against',
    'digits',
    '--samples',
    '20',
    '--steps',
    '1',
    '--extractor',
    'digits-classifier.safetensors',
  ];
  const used = jsonOf(await runCommand(['evaluate', 'runs/digits', ...args, '--json'], { cwd: folder }));
  expect(used).toMatchObject({ extractor: 'digits-classifier.safetensors', fid: expect.any(Number) });
}, 240_000);

test('import and export', async () => {
  // The file is the user's own: here one that PyTorch wrote, of a small model.
  const small = ['model.width=8', 'model.depth=2', 'model.heads=2'].flatMap((setting) => ['--set', setting]);
  const file = join(ROOT, 'test/weights/fixtures/plain.pt');
  const args = shown.get('import')![0]!.replace('SiT-XL-2-256x256.pt', file).split(' ');
  const end = await runCommand([...args, ...small], { cwd: folder });
  expect(end, end.stderr).toMatchObject({ code: 0 });
  expect(end.stdout).toMatch(/^5288 parameters, one set, are step 0 of the run sit-xl-2-[0-9a-f]{8} in runs\/xl\n$/);
  expect((await example('export', 0)).stdout).toMatch(/^the weights of step 3: digits\.safetensors \(1\.\d MB\)\n$/);
}, 120_000);

test('inspect', async () => {
  const run = await example('inspect', 0);
  expect(run.stderr).toBe('');
  expect(run.stdout).toMatch(/^step +3$/m);
  expect(run.stdout).toMatch(/^pipeline +digits$/m);
  expect(run.stdout).toMatch(/^reads next +digits\/0\/90$/m);
  expect(run.stdout).toMatch(/^blobs +ema, keys, model, optimizer \(6\.9 MB\) in runs\/digits\/blobs$/m);
  const topic = jsonOf(await example('inspect', 1));
  expect(topic).toEqual({
    topic: 'digits',
    log: 'file:runs/log',
    partitions: [{ partition: 0, earliest: 0, end: 90 }],
  });
}, 120_000);

test('inspect --queue, --step, --record, --verify', async () => {
  const queue = await example('inspect', 2);
  expect(queue.stdout).toMatch(/^queue of step 3 \(commit 1\), digest [0-9a-f]{64} as committed$/m);
  expect(queue.stdout).toMatch(/^rows +\d+ of \d+ /m);
  await access(join(folder, 'queue.safetensors'));
  const step = jsonOf(await example('inspect', 3, '--json')) as { samples: { offset: number }[] };
  expect(step).toMatchObject({ step: 2, commit: { step: 3, generation: 1 }, terms: { total: expect.any(Number) } });
  expect(step.samples.length).toBe(32);
  const record = await example('inspect', 4);
  const trained = step.samples.some(({ offset }) => offset === 17);
  expect(/^ {2}step 2: image /m.test(record.stdout)).toBe(trained);
  expect((await example('inspect', 5)).stdout).toMatch(/^whole: 1 commits .* 3 journaled steps/);
}, 120_000);

test('log', async () => {
  expect((await example('log', 0)).stdout).toMatch(/^digits +0: 0\.\.90$/m);
  const lines = (await example('log', 1)).stdout.trimEnd().split('\n');
  expect(lines.length).toBe(2);
  expect(JSON.parse(lines[1]!)).toMatchObject({
    offset: 1,
    kind: 'image-batch',
    value: {
      shape: [28, 28, 1],
      images: [expect.stringMatching(/^784 bytes: /), expect.stringMatching(/^784 bytes: /), '98 more'],
    },
  });
  const whole = jsonOf(await example('log', 1, '--json')) as { records: { value: { images: string[] } }[] };
  expect(whole.records[1]!.value.images.length).toBe(100);
  const copied = jsonOf(await example('log', 2, '--json')) as { partitions: { topic: string; records: number }[] };
  expect(copied.partitions.length).toBe(5);
  expect(copied.partitions[0]).toMatchObject({ topic: 'digits', start: 0, end: 90, copied: 90, records: 90 });
  // The copy is as good as the original.
  const original = jsonOf(await runCommand(['inspect', 'runs/digits', '--json'], { cwd: folder }));
  const args = ['inspect', 'runs/digits', '--log', 'file:archive', '--json'];
  expect(jsonOf(await runCommand(args, { cwd: folder }))).toEqual({ ...original, log: 'file:archive' });
  // The broker stands for a log that is not the source.
  const line = shown.get('log')![3]!.replace('kafka://localhost:9092', 'file:other');
  const other = await runCommand(line.split(' '), { cwd: folder });
  expect(other, other.stderr).toMatchObject({ code: 0 });
  expect(other.stdout).toMatch(/^digits\/0 {2}0\.\.90 {2}90 copied, 90 compared \(.* MB\), sha256 /);
}, 240_000);

test('ingest', async () => {
  const end = await example('ingest', 0);
  expect(end.stdout).toMatch(/^10000 images in 100 records \(\d.\d MB\) appended to more-digits in file:runs\/log\n$/);
  // The first training filled both.
  const full = await example('ingest', 1);
  expect(full.stdout).toBe('digits in file:runs/log holds records already: nothing appended, nor to digits-held-out\n');
  const turns = await example('ingest', 3, '--per-turn', '300', '--json');
  expect(jsonOf(turns)).toMatchObject({ images: 1_500, records: 15 });
}, 120_000);

test('certify', async () => {
  const tiny = ['model.patch=14', 'model.width=8', 'operators.batch=4', 'operators.shuffle=100'];
  const small = ['--steps', '6', ...tiny.flatMap((setting) => ['--set', setting])];
  const end = await example('certify', 0, '--trials', '1', ...small);
  expect(end.stdout).toMatch(/^all 1 trials held \(seed 1, .*\)$/m);
  await access(join(folder, 'runs/certify-digits.html'));
  const one = jsonOf(await example('certify', 1, ...small, '--out', 'one.html', '--json'));
  expect(one).toMatchObject({ held: true, seed: 7, report: 'one.html', notes: [] });
  const trials = one['trials'] as { id: string; outcome: string }[];
  expect(trials.map(({ id, outcome }) => [id, outcome])).toEqual([
    ['again', 'held'],
    ['kill-before-rename', 'held'],
  ]);
}, 600_000);

test('doctor', async () => {
  const end = await example('doctor', 0, '--json');
  const { ok, checks } = jsonOf(end) as { ok: boolean; checks: { name: string; ok: boolean; detail: string }[] };
  expect(ok).toBe(true);
  expect(checks.map(({ name, ok }) => [name, ok])).toEqual(
    ['node', 'memory', 'cores', 'engine', 'gpu', 'log', 'runs'].map((name) => [name, true]),
  );
  expect(checks[3]!.detail).toMatch(/^engine: native .*; \d+ GFLOP\/s in a float32 matrix product$/);
  expect(checks[5]!.detail).toMatch(/^file:runs\/log answers; \d+ topics$/);
  expect(checks[6]!.detail).toMatch(/^\d+ in this log, their topics kept for good$/);
  const run = jsonOf(await example('doctor', 1, '--json')) as { checks: { name: string; detail: string }[] };
  expect(run.checks.at(-1)!.detail).toMatch(/blobs: a blob was written, read and removed/);
  // And without a log, for people.
  const alone = await runCommand(['doctor'], { cwd: folder });
  expect(alone, alone.stderr).toMatchObject({ code: 0 });
  expect(alone.stdout).toMatch(/^ok {4}log +a file log can be written/m);
}, 120_000);

test('every command is in the help of all, with the exit statuses', async () => {
  const { stdout, code } = await runCommand(['--help']);
  expect(code).toBe(0);
  for (const command of shown.keys()) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  expect(stdout.replace(/\s+/g, ' ')).toContain(
    'Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 another trainer',
  );
}, 120_000);
