import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import { openLog } from '../../src/log/open-log.ts';
import { writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, ROOT, runCommand, startCommand } from './command.ts';

/** Sweeps as people start them, of a pipeline whose step takes milliseconds, on the built-in digits. */
let folder: string;
let module: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-sweep-'));
  // A commit a step: wherever a run is stopped, it has made some.
  module = await writeTinyModule(folder, {
    log: `file:${join(folder, 'log')}`,
    source: { topic: 'digits', follow: false, ingest: 'digits' },
    steps: 60,
    commit: { everySteps: 2 },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const out = (name: string) => join(folder, name);
const sweep = (name: string, ...more: string[]) => [
  'sweep',
  module,
  '--set',
  'losses.repulsion.queue=0,50',
  '--engine',
  'wasm',
  '--metrics',
  'flow,repulsion,shift',
  '--out',
  out(name),
  ...more,
];

interface Found {
  readonly points: {
    settings: object;
    metrics: Record<string, { n: number; mean: number }>;
    runs: { seed: number; run: string; folder: string; steps: number; metrics: Record<string, number | null> }[];
  }[];
  readonly done: number;
  readonly missing: number;
}
const found = (end: Parameters<typeof jsonOf>[0]) => jsonOf(end) as unknown as Found;

describe('a sweep', () => {
  test('cut off in the middle goes on where it stopped, and comes to what the uncut one comes to', async () => {
    const cut = startCommand(sweep('cut'));
    await cut.said(/1\/2 {2}queue-0_seed-0/);
    cut.kill('SIGINT');
    const end = await cut.ended;
    expect(end, end.stderr).toMatchObject({ code: 130 });
    expect(end.stdout).toMatch(/interrupted with 1 run to go/);
    const first = JSON.parse(await readFile(join(out('cut'), 'queue-0_seed-0', 'run.json'), 'utf8'));

    const resumed = await runCommand(sweep('cut', '--json'));
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
    const whole = await runCommand(sweep('whole', '--jobs', '2', '--json'));
    expect(whole, whole.stderr).toMatchObject({ code: 0 });
    const values = ({ points }: Found) =>
      points.map(({ settings, runs }) => [
        settings,
        runs.map(({ seed, steps, metrics: { images_per_second: _, ...rest } }) => ({ seed, steps, ...rest })),
      ]);
    expect(found(resumed)).toMatchObject({ done: 2, missing: 0, steps: 60, failed: 0 });
    expect(values(found(resumed))).toEqual(values(found(whole)));
    expect(found(resumed).points[0]!.runs[0]!.run).toBe(first.run);

    // Done already: nothing is trained, and no run has another commit.
    const log = await openLog(`file:${join(folder, 'log')}`);
    const commits = async () => {
      const all = found(resumed).points.flatMap(({ runs }) => runs.map(({ run }) => runTopics(run).commits));
      return Promise.all(all.map((topic) => log.offsets(topic, 0)));
    };
    const before = await commits();
    const again = await runCommand(sweep('cut', '--json'));
    expect(again, again.stderr).toMatchObject({ code: 0 });
    expect(values(found(again))).toEqual(values(found(resumed)));
    expect(await commits()).toEqual(before);
    await log.close();
  }, 240_000);

  test('has a run folder a run, each a run as any other, and its results as table, JSON, CSV and HTML', async () => {
    expect((await readdir(out('whole'))).sort()).toEqual([
      'queue-0_seed-0',
      'queue-50_seed-0',
      'report.html',
      'results.csv',
      'results.json',
    ]);
    const inspected = await runCommand(['inspect', join(out('whole'), 'queue-50_seed-0'), '--json']);
    expect(inspected, inspected.stderr).toMatchObject({ code: 0 });
    const lines = (await readFile(join(out('whole'), 'results.csv'), 'utf8')).trimEnd().split('\r\n');
    expect(lines).toHaveLength(3);
    const { points } = JSON.parse(await readFile(join(out('whole'), 'results.json'), 'utf8')) as Found;
    const [none, fifty] = points;
    expect(fifty!.metrics['flow']).toMatchObject({ n: 1, mean: fifty!.runs[0]!.metrics['flow'], sd: null });
    // Without a queue nothing is far from it.
    expect(none!.metrics['shift']).toBeUndefined();
    expect(fifty!.metrics['shift']!.mean).toBeGreaterThan(0);
    await access(join(out('whole'), 'report.html'));
  });

  test('asked for FID draws from the runs that are trained, and trains none again', async () => {
    const end = await runCommand(sweep('whole', '--metrics', 'flow,fid', '--samples', '20', '--json'));
    expect(end, end.stderr).toMatchObject({ code: 0 });
    const { points } = found(end);
    for (const { metrics } of points) expect(metrics['fid']!.mean).toBeGreaterThan(1);
    expect(points[0]!.metrics['fid']!.mean).not.toBe(points[1]!.metrics['fid']!.mean);
    const trained = await readFile(join(out('whole'), 'queue-50_seed-0', 'train.jsonl'), 'utf8');
    expect(trained.trimEnd().split('\n')).toHaveLength(1);
  }, 120_000);

  test('names every combination that cannot be, and trains none', async () => {
    const end = await runCommand([...sweep('no'), '--set', 'losses.repulsion.maxAge=null,3', '--json']);
    expect(end.code).toBe(2);
    expect(JSON.stringify(jsonOf(end))).toContain('0, 3: losses.repulsion.maxAge: only rows of a queue have an age');
    await expect(access(out('no'))).rejects.toThrow();
  }, 60_000);

  test('refuses to take over the results of another', async () => {
    const end = await runCommand([...sweep('whole'), '--set', 'optimizer.learningRate=5e-3', '--json']);
    expect(end.code).toBe(2);
    expect(JSON.stringify(jsonOf(end))).toMatch(/is of another sweep: optimizer\.learningRate was 0\.001, is 0\.005/);
    const fewer = await runCommand([...sweep('whole'), '--steps', '10', '--json']);
    expect(fewer.code).toBe(2);
    expect(JSON.stringify(jsonOf(fewer))).toMatch(/it has 60 steps already/);
  }, 120_000);

  test('that has a run which fails says which and why, has the others, and exits with 1', async () => {
    const failing = ['--set', 'optimizer.learningRate=1e-3,1e30', '--set', 'optimizer.clip=null', '--steps', '8'];
    const end = await runCommand([
      'sweep',
      module,
      ...failing,
      '--engine',
      'wasm',
      '--metrics',
      'flow',
      '--out',
      out('failing'),
    ]);
    expect(end, end.stderr).toMatchObject({ code: 1 });
    expect(end.stdout).toMatch(/^1e-3 +1\/1 +\d/m);
    expect(end.stdout).toMatch(/^failed: learningRate-1e30_seed-0: step \d+ came to numbers that are not finite/m);
  }, 120_000);
});

test('of a pipeline that has no end is refused', async () => {
  const end = await runCommand(['sweep', 'pipelines/continual.ts', '--set', 'losses.repulsion.lambda=0,1', '--json']);
  expect(end.code).toBe(2);
  expect(JSON.stringify(jsonOf(end))).toContain('would never end');
}, 60_000);

test('its help tells of every metric there is', async () => {
  const { stdout } = await runCommand(['sweep', '--help'], { cwd: ROOT });
  for (const name of ['flow', 'pair_distance', 'shift', 'images_per_second']) expect(stdout).toContain(name);
});
