import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockWriter } from '../../src/files/writer-lock.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { Child } from './children.ts';
import { textsOf, values } from './logs-under-test.ts';

/** One process writes a topic by plain appends; others are told who. */

let dir: string;
let log: Log;
const children: Child[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'repulsor-lock-'));
  log = await openLog(`file:${dir}`);
  await log.createTopic('t');
});
afterEach(async () => {
  for (const child of children.splice(0)) await child.kill();
  await log.close();
  await rm(dir, { recursive: true, force: true });
});

async function newChild(): Promise<Child> {
  const child = new Child('locking-child.ts', dir);
  children.push(child);
  expect(await child.line()).toBe('ready');
  return child;
}

async function said(child: Child, line: string): Promise<string | undefined> {
  child.say(line);
  return child.line();
}

test('a second process is told who writes; it may once the first has closed the log', async () => {
  const [first, second] = [await newChild(), await newChild()];
  expect(await said(first, 'go')).toBe('writing');
  const refused = await said(second, 'go');
  expect(refused).toMatch(/^LOG_LOCKED/);
  expect(refused).toContain(`process ${first.pid} on ${hostname()}`);
  await expect(log.append('t', values('x'))).rejects.toMatchObject({
    code: 'LOG_LOCKED',
    hint: expect.stringContaining('Stop'),
  });
  expect(await said(first, 'close')).toBe('closed');
  expect(await said(second, 'go')).toBe('writing');
  expect(await textsOf(log, 't')).toEqual([String(first.pid), String(second.pid)]);
});

test('another client of the same process is told, too', async () => {
  await log.append('t', values('a'));
  const other = await openLog(`file:${dir}`);
  await expect(other.append('t', values('b'))).rejects.toMatchObject({ code: 'LOG_LOCKED' });
  await log.close();
  await other.append('t', values('b'));
  await other.close();
  log = await openLog(`file:${dir}`);
  expect(await textsOf(log, 't')).toEqual(['a', 'b']);
});

test('a writer that was killed is followed by exactly one of several that try at once', async () => {
  const writer = await newChild();
  expect(await said(writer, 'go')).toBe('writing');
  const rivals = await Promise.all([newChild(), newChild(), newChild()]);
  await writer.kill();
  const answers = await Promise.all(rivals.map((rival) => said(rival, 'go')));
  expect(answers.filter((answer) => answer === 'writing').length).toBe(1);
  expect(answers.filter((answer) => answer?.startsWith('LOG_LOCKED')).length).toBe(2);
  expect((await textsOf(log, 't')).length).toBe(2);
});

test.skipIf(process.platform === 'win32')('a writer that is stopped, not dead, keeps its lock', async () => {
  const writer = await newChild();
  expect(await said(writer, 'go')).toBe('writing');
  writer.process.kill('SIGSTOP');
  await expect(log.append('t', values('x'))).rejects.toMatchObject({ code: 'LOG_LOCKED' });
  writer.process.kill('SIGCONT');
  expect(await said(writer, 'go')).toBe('writing');
});

test.skipIf(process.platform !== 'linux')('a pid that was used again does not keep a dead writer’s lock', async () => {
  await log.append('t', values('a'));
  const path = join(dir, 'topics', 't', 'writer-1.lock');
  const lock = JSON.parse(await readFile(path, 'utf8'));
  expect(lock.holder.pid).toBe(process.pid);
  await log.close();
  await writeFile(
    path,
    JSON.stringify({ ...lock, holder: { ...lock.holder, started: String(Number(lock.holder.started) - 1) } }),
  );
  log = await openLog(`file:${dir}`);
  await log.append('t', values('b'));
  expect(await textsOf(log, 't')).toEqual(['a', 'b']);
});

test('a lock from where its holder cannot be seen is not broken: the message says what to do', async () => {
  await log.append('t', values('a'));
  await log.close();
  const path = join(dir, 'topics', 't', 'writer-1.lock');
  const lock = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(
    path,
    JSON.stringify({ ...lock, released: false, holder: { ...lock.holder, scope: 'elsewhere pid:[1]', host: 'other' } }),
  );
  log = await openLog(`file:${dir}`);
  await expect(log.append('t', values('b'))).rejects.toMatchObject({
    code: 'LOG_LOCKED',
    message: expect.stringContaining(path),
    hint: expect.stringContaining('delete the file'),
  });
});

test('the highest number stays, so that none is given twice; lower ones are cleaned up', async () => {
  const folder = join(dir, 'topics', 't');
  const first = await lockWriter(folder, 't');
  await first.release();
  const second = await lockWriter(folder, 't');
  await second.release();
  const third = await lockWriter(folder, 't');
  expect((await readdir(folder)).filter((name) => name.endsWith('.lock'))).toEqual(['writer-3.lock']);
  await expect(lockWriter(folder, 't')).rejects.toMatchObject({ code: 'LOG_LOCKED' });
  await third.release();
  await (await lockWriter(folder, 't')).release();
});

test('readers need no lock', async () => {
  const writer = await newChild();
  expect(await said(writer, 'go')).toBe('writing');
  expect(await textsOf(log, 't')).toEqual([String(writer.pid)]);
});
