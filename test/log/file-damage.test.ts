import { cp, mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RepulsorError } from '../../src/errors.ts';
import { ACK, BLOCK_HEADER, SEGMENT_HEADER } from '../../src/log/file/block-frame.ts';
import type { Log, LogRecord } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { bytes, readAll, textOf, textsOf, values } from './logs-under-test.ts';

/** What a power cut or a bad disk does to a file log: a torn tail is cut, everything else is named, nothing is skipped. */

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'repulsor-damage-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const open = (dir: string, segmentBytes?: number): Promise<Log> =>
  openLog(`file:${dir}`, segmentBytes === undefined ? {} : { file: { segmentBytes } });

/** Makes a log in `dir` with what `fill` appends, and closes it. */
async function made(dir: string, fill: (log: Log) => Promise<void>, segmentBytes?: number): Promise<string> {
  const log = await open(dir, segmentBytes);
  await log.createTopic('t');
  await fill(log);
  await log.close();
  return dir;
}

async function segmentsOf(dir: string, topic = 't'): Promise<string[]> {
  const folder = join(dir, 'topics', topic, '0');
  return (await readdir(folder))
    .filter((name) => name.endsWith('.seg'))
    .sort()
    .map((name) => join(folder, name));
}

let copies = 0;
async function copyOf(dir: string): Promise<string> {
  const copy = join(scratch, `copy-${copies++}`);
  await cp(dir, copy, { recursive: true });
  return copy;
}

const records = (read: readonly LogRecord[]): unknown[] =>
  read.map(({ offset, value, key }) => [offset, textOf(value), textOf(key)]);

async function outcomeOf(work: () => Promise<unknown>): Promise<unknown> {
  return work().catch((error: unknown) => error);
}

describe('the tail of a plain topic', () => {
  test('torn at every byte of the last append: readers see the appends before, the next writer goes on there', async () => {
    const dir = await made(join(scratch, 'torn'), async (log) => {
      await log.append('t', values('one', 'two'));
      await log.append('t', values('three'));
      await log.append('t', [{ value: bytes('four'), key: bytes('k') }, ...values('five')]);
    });
    const [segment] = await segmentsOf(dir);
    const whole = await readFile(segment!);
    const lastBlock = whole.lastIndexOf('RBLK');
    const lastAck = whole.lastIndexOf('RACK');
    expect(whole.length - lastAck).toBe(ACK);
    const before = ['one', 'two', 'three'];
    for (let length = lastBlock; length <= whole.length; length++) {
      const copy = await copyOf(dir);
      await truncate((await segmentsOf(copy))[0]!, length);
      const kept = length >= lastAck ? [...before, 'four', 'five'] : before;
      const reader = await open(copy);
      expect(await textsOf(reader, 't'), `${length} bytes, read`).toEqual(kept);
      const writer = await open(copy);
      expect(await writer.append('t', values('next'))).toEqual([{ partition: 0, offset: kept.length }]);
      await writer.close();
      expect(await textsOf(reader, 't'), `${length} bytes, appended`).toEqual([...kept, 'next']);
      const left = await readFile((await segmentsOf(copy))[0]!);
      expect(left.length - left.lastIndexOf('RACK'), 'nothing of the torn append is left behind').toBe(ACK);
      await reader.close();
      await rm(copy, { recursive: true });
    }
  });

  test.each([
    ['zeros, as of a file that was extended but not filled', Buffer.alloc(5000)],
    ['noise', Buffer.from(Array.from({ length: 500 }, (_, at) => (at * 89 + 7) & 0xff))],
    ['another segment’s frames', 'copy'],
  ])('followed by %s is cut there', async (_, garbage) => {
    const dir = await made(join(scratch, `garbage-${copies++}`), (log) =>
      log.append('t', values('one', 'two')).then(() => undefined),
    );
    const other = await made(join(scratch, `other-${copies++}`), (log) =>
      log.append('t', values('alien')).then(() => undefined),
    );
    const [segment] = await segmentsOf(dir);
    const alien = (await readFile((await segmentsOf(other))[0]!)).subarray(SEGMENT_HEADER);
    await writeFile(segment!, garbage === 'copy' ? alien : garbage, { flag: 'a' });
    const log = await open(dir);
    expect(await textsOf(log, 't')).toEqual(['one', 'two']);
    await log.append('t', values('three'));
    expect(await textsOf(log, 't')).toEqual(['one', 'two', 'three']);
    await log.close();
  });
});

describe('a flipped bit', () => {
  /** Flips one bit of each byte in turn, and has every way of reading and writing look at it. */
  async function flipEverywhere(
    dir: string,
    file: (copy: string) => Promise<string>,
    truth: unknown[],
    writes: (log: Log) => Promise<unknown>,
  ): Promise<void> {
    const path = await file(dir);
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at++) {
      const content = Buffer.from(whole);
      content[at]! ^= 1 << (at % 8);
      await writeFile(path, content);
      const reader = await open(dir);
      const read = await outcomeOf(async () => records(await readAll(reader, 't')));
      const wrote = await outcomeOf(() => writes(reader));
      for (const outcome of [read, wrote]) {
        expect(outcome, `byte ${at}`).toBeInstanceOf(RepulsorError);
        const { code, message } = outcome as RepulsorError;
        expect([code, message.includes(path)], `byte ${at}: ${message}`).toEqual(['STATE_DAMAGED', true]);
      }
      await reader.close();
    }
    await writeFile(path, whole);
    const reader = await open(dir);
    expect(records(await readAll(reader, 't'))).toEqual(truth);
    await reader.close();
  }

  test('anywhere in a segment of plain appends is found, by readers and by the next writer', async () => {
    const dir = await made(join(scratch, 'flip-plain'), async (log) => {
      await log.append('t', [{ value: bytes('one'), key: bytes('k'), headers: { h: bytes('v') } }, { value: null }]);
      await log.append('t', values('two'));
      await log.append('t', values('three'));
    });
    const log = await open(dir);
    const truth = records(await readAll(log, 't'));
    await log.close();
    await flipEverywhere(
      dir,
      async (copy) => (await segmentsOf(copy))[0]!,
      truth,
      (damaged) => damaged.append('t', values('next')),
    );
  });

  test('anywhere in a transaction’s entry is found, by readers and by the next takeover', async () => {
    const dir = await made(join(scratch, 'flip-chain'), async (log) => {
      const writer = await log.takeOver('id');
      const transaction = await writer.begin();
      await transaction.append('t', values('one'));
      await transaction.commit();
    });
    const entry = async (copy: string): Promise<string> => join(copy, 'ids', 'id', '0000000000000001.entry');
    await flipEverywhere(dir, entry, [[0, 'one', null]], (damaged) => damaged.takeOver('id'));
  });

  test('anywhere in committed records is found', async () => {
    const dir = await made(join(scratch, 'flip-committed'), async (log) => {
      const writer = await log.takeOver('id');
      for (const text of ['one', 'two']) {
        const transaction = await writer.begin();
        await transaction.append('t', values(text, `${text}!`));
        await transaction.commit();
      }
    });
    const file = async (copy: string): Promise<string> => (await segmentsOf(copy))[0]!;
    const truth = ['one', 'one!', 'two', 'two!'].map((text, offset) => [offset, text, null]);
    await flipEverywhere(dir, file, truth, (damaged) => readAll(damaged, 't'));
  });
});

describe('files that are gone or cut', () => {
  const filled = (name: string): Promise<string> =>
    made(
      join(scratch, name),
      async (log) => {
        for (let index = 0; index < 12; index++)
          await log.append('t', [{ value: bytes(String(index).padStart(120, '.')) }]);
      },
      400,
    );

  test('a missing segment in the middle, or at the start, is named', async () => {
    const dir = await filled('missing');
    const all = await segmentsOf(dir);
    expect(all.length).toBeGreaterThan(3);
    for (const index of [0, 1, all.length - 2]) {
      const copy = await copyOf(dir);
      await unlink((await segmentsOf(copy))[index]!);
      const log = await open(copy);
      const outcome = await outcomeOf(() => readAll(log, 't'));
      expect(outcome, `segment ${index}`).toMatchObject({ code: 'STATE_DAMAGED' });
      await log.close();
    }
  });

  test('a sealed segment that lost its last append is named, though every frame left in it checks', async () => {
    const dir = await filled('shortened');
    const [first] = await segmentsOf(dir);
    const content = await readFile(first!);
    await truncate(first!, content.lastIndexOf('RBLK'));
    const log = await open(dir);
    const outcome = (await outcomeOf(() => readAll(log, 't'))) as RepulsorError;
    expect(outcome).toMatchObject({ code: 'STATE_DAMAGED' });
    expect(outcome.message).toContain(first);
    await log.close();
  });

  test('a missing entry of a transactional id, and a missing segment of committed records, are named', async () => {
    const dir = await made(join(scratch, 'chain'), async (log) => {
      const writer = await log.takeOver('id');
      for (let index = 0; index < 4; index++) {
        const transaction = await writer.begin();
        await transaction.append('t', values(String(index)));
        await transaction.commit();
      }
    });
    const gap = await copyOf(dir);
    await unlink(join(gap, 'ids', 'id', '0000000000000002.entry'));
    const log = await open(gap);
    expect(await outcomeOf(() => log.offsets('t', 0))).toMatchObject({ code: 'STATE_DAMAGED' });
    expect(await outcomeOf(() => log.takeOver('id'))).toMatchObject({ code: 'STATE_DAMAGED' });
    await log.close();
    await unlink((await segmentsOf(dir))[0]!);
    const other = await open(dir);
    expect(await outcomeOf(() => readAll(other, 't'))).toMatchObject({ code: 'STATE_MISSING' });
    await other.close();
  });

  test('in the settings of a topic is named, wherever it is; so are settings that are gone while records are there', async () => {
    const dir = join(scratch, 'settings');
    const log = await open(dir);
    await log.createTopic('t', { partitions: 2 });
    const writer = await log.takeOver('id');
    const transaction = await writer.begin();
    await transaction.append('t', values('one'));
    await transaction.commit();
    await log.close();
    for (const name of ['topic.json', 'owner.json']) {
      const path = join(dir, 'topics', 't', name);
      const whole = await readFile(path);
      for (let at = 0; at < whole.length; at++) {
        const content = Buffer.from(whole);
        content[at]! ^= 1 << (at % 8);
        await writeFile(path, content);
        const reader = await open(dir);
        expect(await outcomeOf(() => readAll(reader, 't')), `${name}, byte ${at}`).toMatchObject({
          code: 'STATE_DAMAGED',
          message: expect.stringContaining(path),
        });
        await reader.close();
      }
      await unlink(path);
      const reader = await open(dir);
      const missing = { code: 'STATE_MISSING', message: expect.stringContaining(path) };
      expect(await outcomeOf(() => reader.offsets('t', 0))).toMatchObject(missing);
      expect(await outcomeOf(() => readAll(reader, 't'))).toMatchObject(missing);
      if (name === 'topic.json') expect(await outcomeOf(() => reader.createTopic('t'))).toMatchObject(missing);
      await reader.close();
      await writeFile(path, whole);
    }
  });

  test('settings written before they had checksums are read', async () => {
    const dir = await made(join(scratch, 'without-checksums'), (log) =>
      log.append('t', values('one')).then(() => undefined),
    );
    await writeFile(join(dir, 'topics', 't', 'topic.json'), '{"version":1,"partitions":1,"retentionMs":null}\n');
    await writeFile(join(dir, 'topics', 't', 'owner.json'), '{"by":"append"}\n');
    const log = await open(dir);
    expect(await textsOf(log, 't')).toEqual(['one']);
    await log.close();
  });

  test('a format that is newer is refused', async () => {
    const dir = await made(join(scratch, 'newer'), (log) => log.append('t', values('one')).then(() => undefined));
    await writeFile(join(dir, 'topics', 't', 'topic.json'), '{"version":2,"partitions":1,"retentionMs":null}\n');
    const log = await open(dir);
    expect(await outcomeOf(() => log.partitions('t'))).toMatchObject({ code: 'FORMAT_NEWER' });
    await log.close();
  });

  test('a following reader is told, too, when the append that it waits for is damaged', async () => {
    const dir = join(scratch, 'follow');
    const log = await open(dir);
    await log.createTopic('t');
    await log.append('t', values('one'));
    const [segment] = await segmentsOf(dir);
    const end = (await readFile(segment!)).length;
    const reader = await open(dir);
    const read = reader.read('t', { from: new Map([[0, 1]]) })[Symbol.asyncIterator]();
    await log.append('t', values('two'));
    const content = await readFile(segment!);
    content[end + BLOCK_HEADER + 20]! ^= 4;
    await writeFile(segment!, content);
    const next = await outcomeOf(() => read.next());
    expect(next).toMatchObject({ code: 'STATE_DAMAGED' });
    await reader.close();
    await log.close();
  });
});
