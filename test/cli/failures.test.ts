import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLog } from '../../src/log/open-log.ts';
import { fillTopic, writeTinyModule } from '../trainer/tiny-run.ts';
import { COMMAND, jsonOf, runCommand } from './command.ts';

/** How commands fail: with one status for each kind of failure, a next step, and no secret. */
let folder: string;
let pipeline: string;
let log: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-cli-'));
  log = `file:${join(folder, 'log')}`;
  pipeline = await writeTinyModule(folder, { log });
  await writeFile(join(folder, 'nothing.ts'), 'export const a = 1;\n');
  await writeFile(join(folder, 'broken.ts'), 'export default {\n');
  await writeFile(join(folder, 'throws.ts'), 'throw new Error("no such thing");\n');
  const opened = await openLog(log);
  await fillTopic(opened);
  await opened.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** With `--json` the error is the last line of stdout, and stderr has nothing else than warnings. */
async function failure(
  args: string[],
): Promise<{ status: number | null; code: string; message: string; hint: string }> {
  const end = await runCommand([...args, '--json'], { cwd: folder });
  const { error } = jsonOf(end) as { error: { code: string; message: string; hint: string } };
  expect(end.stdout).toBe(`${JSON.stringify({ error })}\n`);
  expect(`${end.stdout}${end.stderr}`).not.toContain('hunter2');
  expect(error.hint.length).toBeGreaterThan(10);
  return { status: end.code, ...error };
}

test('a reader that has gone, as head does, ends a command without a stack', async () => {
  const piped = '"$0" "$1" inspect --help | true';
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', piped, process.execPath, COMMAND]);
  expect([stdout, stderr]).toEqual(['', '']);
});

describe('wrong usage ends with status 2', () => {
  test.each([
    ['an unknown command', ['fly'], 'USAGE', /unknown command 'fly'/],
    ['an unknown flag', ['inspect', '--speed'], 'USAGE', /unknown option '--speed'/],
    ['no pipeline', ['train'], 'USAGE', /missing required argument 'pipeline'/],
    ['a number that is none', ['train', 'tiny.ts', '--steps', 'many'], 'USAGE', /whole number of at least 1/],
    [
      'an engine that is none',
      ['train', 'tiny.ts', '--engine', 'abacus'],
      'USAGE',
      /auto, native, native-gpu, native-cpu, wasm, cpu/,
    ],
    ['a pipeline that is not there', ['train', 'gone.ts'], 'USAGE', /no pipeline at gone\.ts/],
    ['a URL for a pipeline', ['train', 'kafka://u:hunter2@h'], 'USAGE', /^kafka:\/\/\.\.\. is a URL/],
    ['a URL for a run', ['inspect', 'kafka://u:hunter2@h'], 'USAGE', /^kafka:\/\/\.\.\. is a URL/],
    ['a module without a pipeline', ['train', 'nothing.ts'], 'CONFIG', /nothing\.ts has settings that cannot be used/],
    ['a module that does not parse', ['train', 'broken.ts'], 'CONFIG', /broken\.ts could not be loaded/],
    ['a module that throws', ['train', 'throws.ts'], 'CONFIG', /throws\.ts could not be loaded: no such thing/],
    ['a setting that is not there', ['train', 'tiny.ts', '--set', 'optimizer.lr=1'], 'CONFIG', /optimizer.*"lr"/],
    ['a setting out of its range', ['train', 'tiny.ts', '--set', 'operators.batch=1'], 'CONFIG', /operators\.batch: /],
    [
      'settings that contradict',
      ['train', 'tiny.ts', '--set', 'model.heads=5'],
      'CONFIG',
      /model\.heads: 5 heads do not/,
    ],
    ['a --set that sets nothing', ['train', 'tiny.ts', '--set', 'steps'], 'USAGE', /--set steps is not PATH=VALUE/],
    ['a log of no kind', ['train', 'tiny.ts', '--log', 'ftp://u:hunter2@host'], 'CONFIG', /log: begins with file: or/],
    [
      'a log URL that is none',
      ['train', 'tiny.ts', '--log', 'kafka://u:hunter2@a b'],
      'CONFIG',
      /not the URL of a log/,
    ],
    ['neither a run nor a topic', ['inspect'], 'USAGE', /name either a run folder or a topic/],
    ['a topic without a log', ['inspect', '--topic', 'images'], 'USAGE', /--topic needs --log URL/],
    [
      'two questions',
      ['inspect', '.', '--queue', '--verify'],
      'USAGE',
      /--queue and --verify cannot be asked together/,
    ],
    ['a record of no place', ['inspect', '.', '--record', 'digits/3'], 'USAGE', /TOPIC\/PARTITION\/OFFSET/],
    ['a step of no queue', ['inspect', '.', '--at', '3'], 'USAGE', /--at and --out need --queue/],
    ['too few steps', ['certify', 'tiny.ts', '--steps', '2'], 'USAGE', /whole number of at least 6/],
    ['a folder that is no run', ['inspect', '.'], 'USAGE', /is not the folder of a run/],
    ['a folder that is no run', ['replay', '.'], 'USAGE', /is not the folder of a run/],
    ['a tolerance below none', ['replay', '.', '--tolerance=-1'], 'USAGE', /must not be below 0/],
    ['a beginning at no time', ['train', 'tiny.ts', '--since', 'yesterday'], 'USAGE', /neither an offset nor a time/],
    ['a beginning with no run', ['train', 'tiny.ts', '--from', 'gone'], 'USAGE', /gone is not the folder of a run/],
    ['a folder that is no run', ['sample', '.'], 'USAGE', /is not the folder of a run/],
    ['a copy of nothing', ['log', 'copy', 'file:a', 'file:b'], 'USAGE', /name --topics or a --run/],
    ['a copy onto itself', ['log', 'copy', 'file:log', 'file:./log', '--topics', 'a'], 'USAGE', /logs are the same/],
    ['a part of a run', ['log', 'copy', 'file:a', 'file:b', '--run', 'r', '--to', '3'], 'USAGE', /not a run/],
    ['a folder without images', ['ingest', '.', '--to', 'file:log', '--topic', 'x'], 'USAGE', /there is no \.png/],
  ])(
    '%s',
    async (_name, args, code, message) => {
      expect(await failure(args)).toMatchObject({ status: 2, code, message: expect.stringMatching(message) });
    },
    30_000,
  );

  test('is told to people on stderr, with what to do', async () => {
    const end = await runCommand(['train', 'tiny.ts', '--set', 'optimizer.lr=1'], { cwd: folder });
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toMatch(
      /^error CONFIG: tiny\.ts has settings .*\n {2}.*lr.*\n {2}what to do: correct them in the file/s,
    );
  });
});

describe('what is not there or not to be had ends with status 1', () => {
  test('a broker that does not answer; its password is told nowhere', async () => {
    const args = ['inspect', '--topic', 'images', '--log', 'kafka://someone:hunter2@localhost:1'];
    expect(await failure(args)).toMatchObject({
      status: 1,
      code: 'LOG_UNREACHABLE',
      message: expect.stringMatching(/localhost:1/),
    });
  }, 120_000);

  test('a topic', async () => {
    expect(await failure(['inspect', '--topic', 'nothing', '--log', log])).toMatchObject({
      status: 1,
      code: 'TOPIC_MISSING',
    });
    const train = ['train', 'tiny.ts', '--topic', 'nothing', '--metrics-port', '0'];
    expect(await failure(train)).toMatchObject({ status: 1, code: 'TOPIC_MISSING' });
  }, 120_000);

  test.each([
    ['inspect', '--topic', 'images'],
    ['doctor', '--engine', 'cpu'],
  ])(
    'a log, which %s does not make',
    async (...command) => {
      const end = await runCommand([...command, '--log', 'file:typo'], { cwd: folder });
      expect(end.code).toBe(1);
      expect(`${end.stdout}${end.stderr}`).toMatch(/there is no log in the folder .*typo/);
      expect(await readdir(folder)).not.toContain('typo');
    },
    120_000,
  );

  test('a port that is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const args = ['train', 'tiny.ts', '--metrics-port', `${port}`];
    expect(await failure(args)).toMatchObject({ status: 1, code: 'METRICS_UNAVAILABLE' });
    server.close();
  }, 120_000);
});

describe('a run that is damaged ends with status 4', () => {
  const run = 'damaged';
  const blobs = () => join(folder, run, 'blobs');
  const train = (...more: string[]) => ['train', pipeline, '--run', run, ...more];

  test('before its first commit', async () => {
    await writeFile(join(folder, 'run.json'), '');
    expect(await failure(['inspect', '.'])).toMatchObject({ status: 4, code: 'STATE_DAMAGED' });
    await rm(join(folder, 'run.json'));
    expect(await runCommand(train('--steps', '1'), { cwd: folder })).toMatchObject({ code: 0 });
    await (await openLog(`${log}-of-others`)).close();
    expect(await failure(['inspect', run, '--log', `${log}-of-others`])).toMatchObject({
      status: 4,
      code: 'STATE_MISSING',
    });
  }, 120_000);

  test('by a blob: named, with the hint that goes on from the commit before', async () => {
    expect(await runCommand(train('--steps', '3'), { cwd: folder })).toMatchObject({ code: 0 });
    const newest = jsonOf(await runCommand(['inspect', run, '--json'], { cwd: folder }));
    const ema = (newest['blobs'] as { name: string; sha256: string }[]).find(({ name }) => name === 'ema')!.sha256;
    const file = (await readdir(blobs())).find((name) => name.startsWith(ema))!;
    const path = join(blobs(), file);
    await rename(path, `${path}.away`);
    const missing = { status: 4, code: 'STATE_MISSING', message: expect.stringContaining(ema) };
    expect(await failure(train())).toMatchObject({ ...missing, hint: expect.stringContaining('--fallback') });
    expect(await failure(['sample', run])).toMatchObject(missing);
    await rename(`${path}.away`, path);
    await truncate(path, 1000);
    const damaged = await runCommand(train(), { cwd: folder });
    expect(damaged).toMatchObject({ code: 4, stdout: '' });
    expect(damaged.stderr).toMatch(/^error STATE_DAMAGED: .*\n {2}what to do: .*--fallback/m);

    const back = await runCommand(train('--fallback', '--steps', '6'), { cwd: folder });
    expect(back, back.stderr).toMatchObject({ code: 0 });
    expect(back.stderr).toMatch(/^warning: commit 2 is not whole and is given up: /m);
    expect(back.stderr).toMatch(/goes on after step 1;/);
    expect(jsonOf(await runCommand(['inspect', run, '--json'], { cwd: folder }))).toMatchObject({
      step: 6,
      generation: 3,
    });
  }, 240_000);

  test('but one that lives in another log is a wrong setting', async () => {
    const args = train('--log', `${log}-of-others`, '--set', 'source.ingest="digits"');
    expect(await failure(args)).toMatchObject({
      status: 2,
      code: 'STATE_MISMATCH',
      hint: expect.stringContaining(log),
    });
  }, 120_000);
});
