import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));
const bench = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', RUN, ...args], { encoding: 'utf8', timeout: 280_000 });

const SMALL = ['commit', '--size', '1MB', '--commits', '1', '--every-steps', '3', '--rounds', '1'];

test('the benchmark of commits ends with one JSON object: machine, figures, goals', { timeout: 300_000 }, () => {
  const end = bench(...SMALL, '--json');
  expect(end, end.stderr).toMatchObject({ status: 0 });
  const lines = end.stdout.trim().split('\n');
  expect(lines).toHaveLength(1);
  const { benchmark, machine, figures, goals } = JSON.parse(lines[0]!);
  expect(benchmark).toBe('commit');
  expect(machine).toMatchObject({ cpu: expect.any(String), cores: expect.any(Number), node: process.versions.node });
  const [{ training, recovery }] = figures.states;
  expect(training.state_bytes).toBeGreaterThan(0.8e6);
  expect(training.state_bytes).toBeLessThanOrEqual(1e6);
  expect(training.bytes_written.median).toBeGreaterThan(training.state_bytes);
  expect(training.commit_seconds.median).toBeGreaterThan(0);
  expect(recovery.warm.ratio.samples).toBe(1);
  for (const found of Object.values<{ value: number; goal: string; met: boolean }>(goals))
    expect(found).toEqual({
      value: expect.any(Number),
      goal: expect.stringMatching(/^[<>]= [\d.]+$/),
      met: expect.any(Boolean),
    });
  // The one goal that does not depend on how busy the machine is.
  expect(goals.unchanged_bytes_written).toEqual({ value: 0, goal: '<= 0', met: true });
});

test('the help lists the benchmarks; a wrong name is refused', { timeout: 60_000 }, () => {
  const help = bench('--help');
  expect(help).toMatchObject({ status: 0 });
  expect(help.stdout).toMatch(/^ {2}commit /m);
  expect(bench('commit', '--help').stdout).toContain('npm run bench -- commit --size 10MB');
  expect(bench('comit')).toMatchObject({ status: 2 });
  expect(bench('commit', '--size', 'much')).toMatchObject({ status: 2 });
});
