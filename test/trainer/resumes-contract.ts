import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { samplesOf } from '../../src/checkpoint/journal.ts';
import { openEngine } from '../../src/engine/choose.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Pipeline } from '../../src/trainer/pipeline.ts';
import { type TrainObserver, train } from '../../src/trainer/trainer.ts';
import { newName } from '../log/logs-under-test.ts';
import { type CommittedRun, expectSame, imageRecord, readCommitted, tinyPipeline } from './tiny-run.ts';

const BATCH = 7;
/** Images in a record: no window and no batch ends where a record does. */
const PER_RECORD = 3;
const RESUMES = 5;
const STEPS_EACH = 3;

type Source = Partial<Pipeline['source']>;

/** What holds of resumes in a row, on the log that `url` makes. */
export function describeResumes(url: (folder: string) => string): void {
  describe('five resumes in a row, a few steps each', () => {
    let folder: string;
    let log: Log;
    let engine: Engine;
    let images = 0;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'repulsor-resumes-'));
      log = await openLog(url(folder));
      ({ engine } = await openEngine({ name: 'native' }));
    });
    afterAll(async () => {
      await log.close();
      engine.dispose();
      await rm(folder, { recursive: true, force: true });
    });

    async function append(topic: string, partition: number, records: number): Promise<void> {
      const record = () =>
        imageRecord({
          images: Array.from({ length: PER_RECORD }, () => new Uint8Array(784).fill(images++)),
          labels: null,
        });
      await log.append(
        topic,
        Array.from({ length: records }, () => ({ partition, value: record() })),
      );
    }
    async function topicOf(records: readonly number[]): Promise<string> {
      const topic = newName('images');
      await log.createTopic(topic, { partitions: records.length });
      for (const [partition, count] of records.entries()) if (count > 0) await append(topic, partition, count);
      return topic;
    }
    const pipelineOf = (source: Source, steps: number): Pipeline =>
      tinyPipeline({
        source: { epochs: null, ...source },
        operators: { shuffle: 10, batch: BATCH },
        steps,
        commit: { everySteps: 1_000 },
      });
    async function trained(run: string, source: Source, steps: number, observer: TrainObserver = {}): Promise<void> {
      const store = await openFolderStore(join(folder, run, 'blobs'));
      const pipeline = pipelineOf(source, steps);
      await train({ pipeline, log, store, run, engine, observer, signal: new AbortController().signal });
    }
    const committed = (run: string): Promise<CommittedRun> => readCommitted(log, run, join(folder, run, 'blobs'));

    /** In six processes' worth of starts, each of which goes on where the one before has committed. */
    async function inPieces(source: Source, between: () => Promise<void>): Promise<CommittedRun> {
      const run = newName('pieces');
      let windowsOpen = 0;
      for (let piece = 0; piece <= RESUMES; piece++) {
        const starts: (number | null)[] = [];
        const observer: TrainObserver = { onStart: (commit) => void starts.push(commit?.step ?? null) };
        await trained(run, source, STEPS_EACH * (piece + 1), observer);
        expect(starts).toEqual([piece === 0 ? null : STEPS_EACH * piece]);
        if ((await committed(run)).newest.position.window !== null) windowsOpen++;
        await between();
      }
      // Stops inside of windows are what this is about.
      expect(windowsOpen).toBeGreaterThanOrEqual(3);
      return committed(run);
    }
    async function inOne(source: Source): Promise<CommittedRun> {
      const run = newName('whole');
      await trained(run, source, STEPS_EACH * (RESUMES + 1));
      return committed(run);
    }

    test('in epochs over two topics that grow meanwhile: the uninterrupted run, bit for bit', async () => {
      // 17 records in windows of 4: resumes come at every turn of the three partitions.
      const topics = [await topicOf([9, 3]), await topicOf([5])];
      const source: Source = { topic: topics, follow: false };
      const whole = await inOne(source);
      expect(whole.newest.position.epoch).toBeGreaterThanOrEqual(2);
      // The run in pieces begins on the same records; what is appended between its pieces is not of its epochs.
      const pieces = await inPieces({ ...source }, async () => {
        await append(topics[0]!, 1, 2);
        await append(topics[1]!, 0, 1);
      });
      expectSame(pieces, whole);
    }, 240_000);

    test('following a topic that is written meanwhile: the run that found all of it there, bit for bit', async () => {
      const topic = await topicOf([0]);
      const source: Source = { topic, follow: true };
      // Half of what the steps need is there at first; the rest comes while they run, and between the pieces.
      await append(topic, 0, 12);
      const writing = (async () => {
        for (let i = 0; i < 40; i++) await append(topic, 0, 1);
      })();
      const pieces = await inPieces(source, async () => {});
      await writing;
      expectSame(pieces, await inOne(source));
    }, 240_000);

    test('following two topics of several partitions that are written meanwhile: each image once, none left out', async () => {
      const topics = [await topicOf([6, 1]), await topicOf([2])];
      const writing = (async () => {
        for (let i = 0; i < 30; i++) await append(topics[i % 2]!, 0, 1 + (i % 3));
      })();
      const { steps, newest } = await inPieces({ topic: topics, follow: true }, () => append(topics[0]!, 1, 1));
      await writing;
      const name = (id: { topic: string; partition: number; offset: number; index: number }) =>
        `${id.topic}/${id.partition}/${id.offset}#${id.index}`;
      const taken = steps.flatMap(samplesOf).map(name);
      expect(taken).toHaveLength(BATCH * STEPS_EACH * (RESUMES + 1));
      expect(new Set(taken).size).toBe(taken.length);
      // All that lies before the position was trained, but for what the open window still holds.
      const { window, next } = newest.position;
      const windowed = (window?.records ?? []).flatMap(({ topic, partition, offsets }) =>
        offsets.flatMap((offset) =>
          Array.from({ length: PER_RECORD }, (_, index) => name({ topic, partition, offset, index })),
        ),
      );
      let before = 0;
      for (const { topic, partition, offset } of next) {
        const range = { from: new Map([[partition, 0]]), to: new Map([[partition, offset]]) };
        for await (const record of log.read(topic, range)) {
          before += PER_RECORD;
          for (let index = 0; index < PER_RECORD; index++) {
            const id = name({ topic, partition, offset: record.offset, index });
            expect(taken.includes(id) || windowed.includes(id), id).toBe(true);
          }
        }
      }
      const left = windowed.filter((id) => !taken.includes(id)).length;
      expect(taken.length + left).toBe(before);
      expect(left).toBe(window === null ? 0 : windowed.length - window.consumed);
      expect(new Set(next.map(({ topic }) => topic))).toEqual(new Set(topics));
    }, 240_000);
  });
}
