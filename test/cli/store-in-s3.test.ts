import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openStore } from '../../src/checkpoint/open-store.ts';
import { s3ForTests } from '../checkpoint/s3-server.ts';
import { writeTinyModule } from '../trainer/tiny-run.ts';
import { jsonOf, runCommand } from './command.ts';

const server = await s3ForTests();
const folder = await mkdtemp(join(tmpdir(), 'repulsor-s3-run-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.runIf(server !== null)('a run whose weights are in S3', () => {
  test('is trained, gone on with, looked at, sampled and checked by its folder alone', {
    timeout: 300_000,
  }, async () => {
    const place = `s3://${server!.bucket}/models`;
    const module = await writeTinyModule(folder, {
      source: { topic: 'digits', follow: false, ingest: 'digits' },
      commit: { everySteps: 5, keep: { last: 2 } },
    });
    const command = async (...args: string[]) => {
      const end = await runCommand([...args, '--json'], { cwd: folder });
      expect(end, end.stderr + end.stdout).toMatchObject({ code: 0, stderr: '' });
      return jsonOf(end) as Record<string, never>;
    };
    expect(await command('train', module, '--store', place, '--steps', '10')).toMatchObject({ steps: 10 });
    const { store, run } = JSON.parse(await readFile(join(folder, 'runs/tiny/run.json'), 'utf8'));
    expect(store).toBe(`${place}/${run}`);
    expect((await readdir(join(folder, 'runs/tiny'))).sort()).toEqual(['committed.json', 'run.json']);
    expect(await command('train', module, '--steps', '30')).toMatchObject({ steps: 30, steps_here: 20 });
    const inspected = await command('inspect', 'runs/tiny');
    expect(inspected).toMatchObject({ step: 30, store, config: { commit: { keep: { last: 2, every: null } } } });
    // A commit that falls due while one is under way waits: only the first and the last steps are known.
    const states = (inspected['kept'] as { step: number }[]).map(({ step }) => step);
    expect([states.length, states[0], states[2]]).toEqual([3, 30, 5]);
    expect(await command('inspect', 'runs/tiny', '--verify')).toMatchObject({ ok: true, states });
    expect(await command('sample', 'runs/tiny', '--labels', '1', '--per-label', '1')).toMatchObject({ step: 30 });
    expect(await command('doctor', '--run', 'runs/tiny')).toMatchObject({
      ok: true,
      checks: expect.arrayContaining([
        { name: 'store', ok: true, detail: expect.stringContaining(`${store}: a blob was`) },
      ]),
    });
    // Nothing of the probe is left, and nothing of the run was taken for it.
    const owners = new Set((await (await openStore(store)).list()).map(({ owner }) => owner));
    expect([...owners].sort()).toEqual([1, 2]);

    const elsewhere = await runCommand(['train', module, '--store', `${place}/b`], { cwd: folder });
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stderr).toContain(`are in ${store}, not in ${place}/b/${run}`);
    const env = { AWS_SECRET_ACCESS_KEY: 'wrong', AWS_MAX_ATTEMPTS: '1' };
    for (const args of [
      ['train', module, '--steps', '40'],
      ['sample', 'runs/tiny'],
    ]) {
      const refused = await runCommand(args, { cwd: folder, env });
      expect(refused).toMatchObject({ code: 1 });
      expect(refused.stderr).toMatch(/error STORE_FAILED: cannot .* in s3:.*: the credentials are refused/);
    }
  });
});
