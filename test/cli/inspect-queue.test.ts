import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { createRunFolder } from '../../src/checkpoint/run-folder.ts';
import { openLog } from '../../src/log/open-log.ts';
import { checkPipeline } from '../../src/trainer/check-pipeline.ts';
import { definePipeline } from '../../src/trainer/pipeline.ts';
import { advance, freshProgress, SCENARIO } from '../checkpoint/scenario.ts';
import { TINY } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand } from './command.ts';

/** A run of 3, 6, 9 (given up by a fallback), again 8 and 12 steps, whose queue of 13 rows goes round. */
let folder: string;
const again = { ...SCENARIO, lineage: 1 };
const inspect = (...more: string[]) => runCommand(['inspect', join(folder, 'run'), ...more], { cwd: folder });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-queue-'));
  const url = `file:${join(folder, 'log')}`;
  const run = { run: 'scenario', log: url, pipeline: 'tiny', created: '2026-11-25T10:00:00.000Z' };
  const { blobs } = await createRunFolder(join(folder, 'run'), run);
  const log = await openLog(url);
  const config = checkPipeline(definePipeline(TINY), 'tiny');
  const settings = { log, store: await openFolderStore(blobs), run: 'scenario', seed: 1, config, engine: 'none' };
  const first = await openCommitter({ ...settings, keep: { last: 2, every: null } });
  const progress = freshProgress(SCENARIO);
  for (let commit = 0; commit < 3; commit++) await first.commit(advance(SCENARIO, progress, 3));
  await first.close();
  const second = await openCommitter({ ...settings, keep: { last: 2, every: null } });
  await recover({ committer: second });
  await second.continueFrom(1);
  expect((await second.lineage.at(1))!.commit.step).toBe(6);
  const other = freshProgress(SCENARIO);
  advance(SCENARIO, other, 6);
  await second.commit(advance(again, other, 2));
  await second.commit(advance(again, other, 4));
  await second.close();
  await log.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As the format's specification says: u64 length, JSON header, the data. Nothing of src/ is used. */
async function readTensors(path: string) {
  const file = await readFile(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length));
  const data = file.subarray(8 + length);
  const { __metadata__: metadata, ...entries } = header as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = Object.fromEntries(
    Object.entries(entries).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        const bytes = data.buffer.slice(data.byteOffset + begin, data.byteOffset + end) as ArrayBuffer;
        return [name, { dtype, shape, data: [...(dtype === 'F32' ? new Float32Array(bytes) : new Int32Array(bytes))] }];
      },
    ),
  );
  return { metadata, tensors };
}

/** The ring after `step` steps, made from the rows of each step alone. */
function ring(step: number, lineageOf: (step: number) => typeof SCENARIO) {
  const { capacity, dim, batch } = SCENARIO;
  const rows = new Array<number>(capacity * dim).fill(0);
  const labels = new Array<number>(capacity).fill(0);
  const steps = new Array<number>(capacity).fill(0);
  const progress = freshProgress(SCENARIO);
  for (let at = 1; at <= step; at++) {
    const { negatives } = advance(lineageOf(at), progress, 1);
    const keys = new Float32Array(negatives[0]!.keys.slice().buffer);
    for (let i = 0; i < batch; i++) {
      const slot = ((at - 1) * batch + i) % capacity;
      for (let j = 0; j < dim; j++) rows[slot * dim + j] = keys[i * dim + j]!;
      labels[slot] = negatives[0]!.labels[i]!;
      steps[slot] = at;
    }
  }
  return { rows, labels, steps };
}

test.each([
  [3, () => SCENARIO],
  [6, () => SCENARIO],
  [8, (step: number) => (step > 6 ? again : SCENARIO)],
  [12, (step: number) => (step > 6 ? again : SCENARIO)],
])(
  'the queue as of step %i is, slot for slot, the one the trainer had',
  async (step, lineageOf) => {
    const out = join(folder, `queue-${step}.safetensors`);
    const end = await inspect('--queue', '--at', `${step}`, '--out', out, '--json');
    expect(end, end.stderr).toMatchObject({ code: 0 });
    const found = jsonOf(end);
    const { capacity, dim, batch } = SCENARIO;
    const count = step * batch;
    expect(found).toMatchObject({
      step,
      rows: Math.min(count, capacity),
      capacity,
      dim,
      count,
      pointer: count % capacity,
    });
    const { metadata, tensors } = await readTensors(out);
    expect(metadata).toMatchObject({ run: 'scenario', step: `${step}`, digest: found['digest'] });
    const { rows, labels, steps } = ring(step, lineageOf);
    expect(tensors).toEqual({
      rows: { dtype: 'F32', shape: [capacity, dim], data: rows },
      labels: { dtype: 'I32', shape: [capacity], data: labels },
      steps: { dtype: 'I32', shape: [capacity], data: steps },
      pointer: { dtype: 'I32', shape: [], data: [count % capacity] },
      valid: { dtype: 'I32', shape: [], data: [Math.min(count, capacity)] },
    });
    const newest = Math.max(...steps);
    expect(found).toMatchObject({ age: { least: step - newest, most: step - Math.min(...steps.slice(0, count)) } });
  },
  120_000,
);

test('a step that no commit of the lineage has is refused with the nearest ones', async () => {
  for (const [step, hint] of [
    [9, /steps are 8 and 12/], // committed once, and given up
    [1, /step is 3/],
    [100, /step is 12/],
  ] as const) {
    const end = await inspect('--queue', '--at', `${step}`, '--json');
    expect(end.code).toBe(2);
    expect(jsonOf(end)).toMatchObject({ error: { code: 'USAGE', hint: expect.stringMatching(hint) } });
  }
}, 120_000);

test('people see fill, ages, norms and labels', async () => {
  const { stdout } = await inspect('--queue');
  expect(stdout).toMatch(/^rows +13 of 13 \(100%\), 3 numbers each; 60 ever put in, the next into slot 8$/m);
  expect(stdout).toMatch(/^age +0 to 2, median 1 steps$/m);
  expect(stdout).toMatch(/^label +\d+ +\d+ #+$/m);
}, 120_000);

test('a run names the commits that are kept, its settings when asked, and all of it is verified', async () => {
  const summary = jsonOf(await inspect('--json')) as { kept: { step: number }[]; config: { name: string } };
  expect(summary.kept.map(({ step }) => step)).toEqual([12, 8]);
  expect((await inspect('--config')).stdout).toContain(`"name": "${TINY.name}"`);
  expect((await inspect()).stdout).toMatch(/^kept +the weights of steps 12, 8$/m);
  const verified = jsonOf(await inspect('--verify', '--json'));
  expect(verified).toMatchObject({ ok: true, commits: 5, lineage: 4, steps: 12, states: [12, 8] });
}, 120_000);
