import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyTopics, copyWriterId } from '../../src/log/copy/copy-topics.ts';
import type { CopyTarget, Log, LogRecord } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { jsonOf, runCommand, startCommand } from '../cli/command.ts';
import { bytes, collect, kafkaLogUnderTest, newName, readAll } from './logs-under-test.ts';

const kafka = await kafkaLogUnderTest();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-copy-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let archives = 0;
const archiveUrl = () => `file:${join(folder, `archive-${archives++}`)}`;

type Target = Log & CopyTarget;
const copy = (source: Log, target: Target, topic: string, options = {}) =>
  copyTopics(source, target, [{ topic, writerId: copyWriterId(topic) }], options);

/** Two partitions of one writer's transactions: committed ones, aborted ones in between and at the end; every kind of record. */
async function writeTransactions(log: Log, topic: string): Promise<void> {
  await log.createTopic(topic, { partitions: 2 });
  const writer = await log.takeOver(`writer-of-${topic}`);
  for (let i = 0; i < 6; i++) {
    const transaction = await writer.begin();
    await transaction.append(topic, [
      { partition: 0, timestamp: 1000 + i, key: bytes(`key ${i}`), value: bytes(`value ${i}`) },
      { partition: 0, timestamp: 5, value: null, headers: { name: bytes('a header'), empty: new Uint8Array(0) } },
      ...(i % 2 === 0 ? [{ partition: 1, timestamp: 7, key: new Uint8Array(0), value: new Uint8Array(300_000) }] : []),
    ]);
    if (i === 2 || i === 5) await transaction.abort();
    else await transaction.commit();
  }
  await writer.close();
}

/** All that a copy must keep. */
async function contentOf(log: Log, topic: string) {
  const partitions = [];
  for (const partition of await log.partitions(topic)) partitions.push(await log.offsets(topic, partition));
  return { partitions, records: (await readAll(log, topic)).map(outline) };
}

/** All of a record, large bytes by their digest: comparing arrays element by element takes minutes. */
const outline = ({ key, value, headers, ...rest }: LogRecord) => ({
  ...rest,
  key: outlineBytes(key),
  value: outlineBytes(value),
  headers: Object.entries(headers).map(([name, content]) => [name, outlineBytes(content)]),
});
const outlineBytes = (content: Uint8Array | null) =>
  content === null ? null : [content.length, createHash('sha256').update(content).digest('hex')];

async function expectCopy(source: Log, target: Log, topic: string): Promise<object[]> {
  const original = await contentOf(source, topic);
  expect(await contentOf(target, topic)).toEqual(original);
  return original.records;
}

const directions: [string, () => Promise<Target>, () => Promise<Target>][] = [
  ['from a file log to another', () => openLog(archiveUrl()), () => openLog(archiveUrl())],
];
if (kafka !== null) {
  const open = () => openLog(kafka.url);
  directions.push(['from Kafka to a file log', open, () => openLog(archiveUrl())]);
  directions.push(['from a file log to Kafka', () => openLog(archiveUrl()), open]);
}

describe.each(directions)('a copy %s', (_direction, openSource, openTarget) => {
  let source: Target;
  let target: Target;
  beforeAll(async () => {
    source = await openSource();
    target = await openTarget();
  });
  afterAll(async () => {
    await source.close();
    await target.close();
  });

  test('keeps offsets, gaps at the end too, times, keys, values and headers; done again it copies what is new', async () => {
    const topic = newName('copied');
    await writeTransactions(source, topic);
    const first = await copy(source, target, topic);
    const records = await expectCopy(source, target, topic);
    expect(records.length).toBe(10);
    expect(first.map(({ copied, records: compared }) => [copied, compared])).toEqual([
      [8, 8],
      [2, 2],
    ]);
    const again = await copy(source, target, topic);
    expect(again.map(({ copied, records: compared, sha256 }) => [copied, compared, sha256])).toEqual(
      first.map(({ records: compared, sha256 }) => [0, compared, sha256]),
    );
    await writeTransactions(source, topic);
    expect((await copy(source, target, topic)).map(({ copied }) => copied)).toEqual([8, 2]);
    await expectCopy(source, target, topic);
  }, 120_000);

  test('a topic of plain appends, an empty one, and a part of one', async () => {
    const topic = newName('plain');
    const empty = newName('empty');
    await source.createTopic(empty, { partitions: 3 });
    await copy(source, target, empty);
    expect(await expectCopy(source, target, empty)).toEqual([]);
    await source.createTopic(topic);
    for (let i = 0; i < 30; i++) await source.append(topic, [{ timestamp: i, value: bytes(`record ${i}`) }]);
    const [part] = await copy(source, target, topic, { from: 11, to: 20 });
    expect(part).toMatchObject({ start: 11, end: 20, copied: 9, records: 9 });
    expect(await target.offsets(topic, 0)).toEqual({ earliest: 11, end: 20 });
    const original = await readAll(source, topic);
    expect(await readAll(target, topic)).toEqual(original.slice(11, 20));
    await copy(source, target, topic);
    expect(await readAll(target, topic)).toEqual(original.slice(11));
    // A following reader passes the gaps, too.
    const follow = target.read(topic, { from: new Map([[0, 11]]) });
    expect((await collect(follow, 19)).map(({ offset }) => offset)).toEqual(original.slice(11).map((r) => r.offset));
  }, 120_000);

  test('what is no copy of the source is refused before anything is written', async () => {
    const topic = newName('other');
    await source.createTopic(topic);
    await source.append(topic, [{ timestamp: 1, value: bytes('one') }]);
    await target.createTopic(topic);
    await target.append(topic, [{ timestamp: 1, value: bytes('another') }]);
    await expect(copy(source, target, topic)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
    await target.append(topic, [{ value: bytes('more') }]);
    await expect(copy(source, target, topic)).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      message: expect.stringContaining('ends at 1'),
    });
    expect((await readAll(target, topic)).length).toBe(2);
    const divided = newName('divided');
    await source.createTopic(divided, { partitions: 2 });
    await target.createTopic(divided, { partitions: 1 });
    await expect(copy(source, target, divided)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
  }, 120_000);

  test('killed three times, it goes on where it was, and nothing is there twice', async () => {
    const topic = newName('killed');
    await source.createTopic(topic, { partitions: 2 });
    const value = Buffer.alloc(100_000, 7);
    const records = Array.from({ length: 20 }, (_, i) => ({ partition: i % 2, timestamp: i, value }));
    // A gap behind every twenty records.
    const writer = await source.takeOver(`writer-of-${topic}`);
    for (let i = 0; i < 10; i++) {
      for (const outcome of ['abort', 'commit'] as const) {
        const transaction = await writer.begin();
        await transaction.append(topic, records);
        await transaction[outcome]();
      }
    }
    await writer.close();
    const args = ['log', 'copy', source.url, target.url, '--topics', topic];
    const endOf = async () => {
      const there = (await target.topics()).includes(topic);
      return there ? (await target.offsets(topic, 0)).end + (await target.offsets(topic, 1)).end : -1;
    };
    let reached = -1;
    let kills = 0;
    for (let i = 0; i < 3; i++) {
      const copying = startCommand(args);
      let over = false;
      void copying.ended.then(() => {
        over = true;
      });
      while (!over && (await endOf()) <= reached) await new Promise((resolve) => setTimeout(resolve, 2));
      copying.kill('SIGKILL');
      if ((await copying.ended).signal === 'SIGKILL') kills++;
      const end = await endOf();
      expect(end).toBeGreaterThanOrEqual(reached);
      reached = end;
    }
    expect(kills).toBeGreaterThan(0);
    const last = await runCommand([...args, '--json']);
    expect(last, last.stderr).toMatchObject({ code: 0 });
    const partitions = jsonOf(last)['partitions'] as { records: number }[];
    expect(partitions.map(({ records: compared }) => compared)).toEqual([100, 100]);
    await expectCopy(source, target, topic);
  }, 240_000);
});

test('a copy that differs in one byte is found by the comparison', async () => {
  const source = await openLog(archiveUrl());
  const target = await openLog(archiveUrl());
  const topic = newName('differs');
  for (const [log, third] of [
    [source, 'three'],
    [target, 'thref'],
  ] as const) {
    await log.createTopic(topic);
    await log.append(
      topic,
      ['one', 'two', third, 'four'].map((text) => ({ timestamp: 1, value: bytes(text) })),
    );
  }
  await expect(copy(source, target, topic)).rejects.toMatchObject({
    code: 'STATE_DAMAGED',
    message: expect.stringContaining('at offset 2'),
  });
  await source.close();
  await target.close();
});

test('records between the copy and what the source has left are missed, not passed over', async () => {
  const source = await openLog(archiveUrl());
  const target = await openLog(archiveUrl());
  const topic = newName('late');
  const texts = Array.from({ length: 10 }, (_, i) => ({ timestamp: 1, value: bytes(`${i}`) }));
  await source.createTopic(topic);
  await source.append(topic, texts);
  await copy(source, target, topic, { to: 3 });
  const later = await openLog(archiveUrl());
  await copy(source, later, topic, { from: 6 });
  await expect(copy(later, target, topic)).rejects.toMatchObject({ code: 'STATE_TRUNCATED' });
  for (const log of [source, target, later]) await log.close();
});
