import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportScale, exportVae } from '../../scripts/digit-vae/export.ts';
import { vaeLayout } from '../../scripts/digit-vae/model.ts';
import { makeDigitVae } from '../../scripts/train-digit-vae.ts';
import { digits } from '../../src/ingest/digits.ts';
import { initialParameters } from '../../src/model/parameters.ts';
import { onnxDigest } from '../../src/onnx/onnx-digest.ts';
import { jsonOf, ROOT, runCommand } from './command.ts';

/** The digits through an autoencoder that is trained here, into a topic, a run, and pictures again. */
let folder: string;
const command = (...args: string[]) => runCommand(args, { cwd: folder });
const PIPELINE = join(ROOT, 'pipelines', 'latents.ts');
const FEW = [
  '--steps',
  '6',
  '--set',
  'commit.everySteps=3',
  '--set',
  'model.depth=1',
  '--set',
  'model.width=16',
  '--metrics-port',
  '0',
];
const digests = { encoder: '', decoder: '' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-latents-'));
  const vae = await makeDigitVae(join(folder, 'runs/vae'), { steps: 80, seed: 0, engine: 'native' });
  await exportScale(join(folder, 'runs/vae'), 1.3); // what pipelines/latents.ts says
  digests.encoder = await onnxDigest(vae.encoder);
  digests.decoder = await onnxDigest(vae.decoder);
  await exportVae(initialParameters(vaeLayout(), 1), join(folder, 'other'));
}, 240_000);
/** The line of a command's --help that shows this option, as its arguments. */
async function exampleWith(name: string, option: string): Promise<string[]> {
  const { stdout } = await command(name, '--help');
  const line = [...stdout.matchAll(/^ {2}repulsor (.+)$/gm)]
    .map((match) => match[1]!)
    .find((one) => one.includes(option));
  return line!.split(' ');
}
afterAll(() => rm(folder, { recursive: true, force: true }));

test('digits are encoded into a topic, and what came of it is said', async () => {
  const end = await command(...(await exampleWith('ingest', '--encode')), '--json');
  expect(end, end.stderr).toMatchObject({ code: 0, stderr: '' });
  const said = jsonOf(end);
  expect(said).toMatchObject({
    ...{ images: 10_000, records: 100, unreadable: 0, scale: 1.3, kept: 'moments', latent_shape: [7, 7, 4] },
    ...digests,
  });
  expect(said['reconstruction_error']).toBeLessThan(0.5);
}, 240_000);

test('another encoder is refused for that topic', async () => {
  const to = ['--to', 'file:runs/log', '--topic', 'latents', '--encode', 'other', '--json'];
  const end = await command('ingest', 'digits', ...to);
  expect(end.code).toBe(2);
  expect(jsonOf(end)['error']).toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(`holds latents of the encoder ${digests.encoder}`),
  });
}, 120_000);

test('a model trains on the topic, which its run names, and replays bit for bit, draws included', async () => {
  const end = await command('train', PIPELINE, ...FEW, '--json');
  expect(end, end.stderr).toMatchObject({ code: 0 });
  expect(jsonOf(end)).toMatchObject({ steps: 6, samples: 192, grid: null });
  expect(jsonOf(await command('inspect', 'runs/latents', '--json'))['encoder']).toEqual({
    sha256: digests.encoder,
    decoder: digests.decoder,
  });
  const replayed = await command('replay', 'runs/latents', '--json');
  expect(replayed, replayed.stderr).toMatchObject({ code: 0 });
  expect(jsonOf(replayed)).toMatchObject({ identical_through: 6, diverged: null });
}, 240_000);

test('samples are decoded into a grid of pictures, by no other decoder', async () => {
  const [, ...args] = await exampleWith('sample', '--decode');
  const end = await command('sample', ...args, '--steps', '1', '--json');
  expect(end, end.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(jsonOf(end)).toMatchObject({ out: 'latents.png', step: 6, images: 100 });
  const side = 2 * (10 * 30 + 2); // ten of 28 pixels, 2 apart, each pixel twice as large
  const grid = await readFile(join(folder, 'latents.png'));
  expect(await sharp(grid).metadata()).toMatchObject({ width: side, height: side });

  const how = ['sample', 'runs/latents', '--json'];
  const other = await command(...how, '--decode', 'other', '--out', 'other.png');
  expect(other.code).toBe(2);
  expect(jsonOf(other)['error']).toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(new RegExp(`other/vae_decoder/model.onnx is the decoder .*by ${digests.decoder}`)),
  });
  const raw = await command(...how, '--decode', 'runs/vae', '--out', 'raw.safetensors');
  expect(jsonOf(raw)['error']).toMatchObject({ code: 'USAGE', message: expect.stringContaining('raw.safetensors') });
  const none = await command(...how, '--out', 'none.png');
  expect(jsonOf(none)['error']).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('--decode') });
}, 240_000);

test('samples are decoded before they are evaluated against pictures', async () => {
  await mkdir(join(folder, 'pictures'));
  let count = 0;
  for await (const image of digits().images()) {
    if (count === 40) break;
    if (!('bytes' in image)) continue;
    const raw = { raw: { width: 28, height: 28, channels: 1 } } as const;
    await sharp(image.bytes, raw).toFile(join(folder, 'pictures', `${count++}.png`));
  }
  const how = ['evaluate', 'runs/latents', '--against', 'pictures', '--samples', '40', '--steps', '1', '--json'];
  const end = await command(...how, '--metrics', 'fid', '--decode', 'runs/vae');
  expect(end, end.stderr).toMatchObject({ code: 0 });
  expect(jsonOf(end)).toMatchObject({ step: 6, samples: 40, reference_images: 40, fid: expect.any(Number) });
  // Ten rows of four.
  const grid = await readFile(join(folder, 'runs/latents', 'evaluation-6.png'));
  expect(await sharp(grid).metadata()).toMatchObject({ width: 2 * (4 * 30 + 2), height: 2 * (10 * 30 + 2) });
}, 240_000);

test('what says how to encode needs an encoder', async () => {
  const end = await command('ingest', 'digits', '--to', 'file:runs/log', '--topic', 'new', '--mirror', '--json');
  expect(end.code).toBe(2);
  expect(jsonOf(end)['error']).toMatchObject({ code: 'USAGE', message: expect.stringContaining('--mirror') });
}, 60_000);
