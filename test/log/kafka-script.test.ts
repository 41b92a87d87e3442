import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../scripts/free-port.ts';
import { demandJava, kafkaJars } from '../../scripts/kafka/jars.ts';
import { openLog } from '../../src/log/open-log.ts';
import { textsOf, values } from './logs-under-test.ts';

/** `npm run kafka`: what it says, and that it is gone afterwards. */

const script = fileURLToPath(new URL('../../scripts/kafka.ts', import.meta.url));
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'repulsor-script-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const java = await demandJava()
  .then(() => kafkaJars())
  .then(
    () => true,
    () => false, // contract.test.ts says so by name, and fails for it in CI
  );

function start(args: string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  const ended = once(child, 'exit').then(([status]) => status as number | null);
  return { child, ended, said: () => said };
}

test.skipIf(!java)('runs a broker until Ctrl-C, and goes on with the same folder', async () => {
  const port = await freePort();
  const folder = join(dir, 'data');
  for (const expected of [['1'], ['1', '2']]) {
    const broker = start(['--port', String(port), '--dir', folder]);
    await expect.poll(broker.said, { timeout: 60_000 }).toContain(`ready: kafka://127.0.0.1:${port}`);
    const log = await openLog(`kafka://127.0.0.1:${port}`);
    await log.createTopic('t');
    await log.append('t', values(expected.at(-1)!));
    expect(await textsOf(log, 't')).toEqual(expected);
    await log.close();
    broker.child.kill('SIGINT');
    expect(await broker.ended).toBe(0);
    await expect(openLog(`kafka://127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'LOG_UNREACHABLE' });
  }
});

test('without Java says what to do instead', async () => {
  const broker = start([], { PATH: dir });
  expect(await broker.ended).toBe(1);
  expect(broker.said()).toMatch(/java does not run here/);
  expect(broker.said()).toMatch(/docker compose up kafka/);
});

test('without Maven says so, and leaves nothing half done in the cache', async () => {
  const { REPULSOR_CACHE: _, ...environment } = process.env;
  const cache = join(dir, 'cache');
  const onlyJava = join(dir, 'bin');
  await mkdir(onlyJava);
  await writeFile(join(onlyJava, 'java'), '#!/bin/sh\necho \'openjdk version "21.0.1" 2023-10-17\' >&2\n');
  await chmod(join(onlyJava, 'java'), 0o755);
  const broker = start([], { ...environment, PATH: onlyJava, REPULSOR_CACHE: cache });
  expect(await broker.ended).toBe(1);
  expect(broker.said()).toMatch(/mvn does not run here/);
  expect(existsSync(cache) ? await readdir(cache) : []).toEqual([]);
});

test.each(['--port=99999', '--port=x', '--wrong'])('%s is wrong usage', async (argument) => {
  const broker = start([argument]);
  expect(await broker.ended).toBe(2);
  expect(broker.said()).toContain('Usage: npm run kafka');
});
