import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { startBroker } from '../../scripts/kafka.ts';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import type { OnEffect } from '../../src/checkpoint/effects.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import { RepulsorError } from '../../src/errors.ts';
import { KafkaClient } from '../../src/log/kafka/kafka-client.ts';
import { type KafkaAddress, parseLogUrl } from '../../src/log/log-url.ts';
import { openLog } from '../../src/log/open-log.ts';
import { brokerForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';
import { liveOnce, type Place, sleepThroughTakeOvers, stateNow } from './crash.ts';
import { expectLogExact, expectWhole, progressFrom, SCENARIO, settings, trainAndCommit } from './scenario.ts';

const folder = await mkdtemp(join(tmpdir(), 'repulsor-crash-'));
let broker = await brokerForTests({ dir: join(folder, 'broker') });
const there = broker !== null;
afterAll(async () => {
  await broker?.kill();
  await rm(folder, { recursive: true });
});

let place: Place;
beforeEach(async () => {
  const run = newName('scenario');
  place = { url: broker?.url ?? '', folder: join(folder, run), run, group: run };
  if (!there) return;
  const log = await openLog(place.url);
  await log.createTopic('images', { partitions: 2 });
  await log.close();
});

const EFFECTS = ['begin', 'negatives', 'journal', 'dead-letters', 'commit-record', 'offsets', 'commit'];

describe.runIf(there)('on a Kafka broker', () => {
  test('a trainer killed at every effect of a transaction leaves the commit before or the new one, whole', {
    timeout: 300_000,
  }, async () => {
    await liveOnce(place, { commits: 1 });
    const { moments, committed } = await liveOnce(place, { commits: 1 });
    expect(committed).toEqual([6]);
    const wanted = EFFECTS.flatMap((effect) => [`before ${effect}`, `after ${effect}`]);
    expect(moments.slice(-wanted.length)).toEqual(wanted);
    let step = await stateNow(place);
    for (const name of ['before fsync', ...wanted]) {
      const life = await liveOnce(place, { commits: 1, moment: name });
      expect(life, life.stderr).toMatchObject({ signal: 'SIGKILL', recovered: step, committed: [] });
      expect(life.moments.at(-1)).toBe(name);
      const now = await stateNow(place);
      expect([name, now - step]).toEqual([name, name === 'after commit' ? 3 : 0]);
      step = now;
    }
    const last = await liveOnce(place, { commits: 1 });
    expect(last, last.stderr).toMatchObject({ code: 0, recovered: step, committed: [step + 3] });
    expect(await stateNow(place)).toBe(step + 3);
  });

  test('the open transaction of a killed trainer hides no commit, and ends with the take-over', {
    timeout: 300_000,
  }, async () => {
    await liveOnce(place, { commits: 1 });
    await liveOnce(place, { commits: 1 });
    const step = await stateNow(place);
    const log = await openLog(place.url);
    const client = await KafkaClient.open(parseLogUrl(place.url) as KafkaAddress);
    const topics = runTopics(place.run);
    const touched = [topics.negatives, topics.journal, topics.deadLetters, topics.commits];
    /** Records behind the last stable offset, open ones, as the broker counts them. */
    const open = () =>
      Promise.all(
        touched.map(async (topic) => {
          const partitions = [{ partition: 0, timestamp: '-1' }];
          const { responses } = await (await client.leader(topic, 0)).listOffsets({
            isolationLevel: 0, // read_uncommitted: the high watermark
            topics: [{ topic, partitions }],
          });
          return Number(responses[0]!.partitions[0]!.offset) - (await log.offsets(topic, 0)).end;
        }),
      );
    expect(await open()).toEqual([0, 0, 0, 0]);
    const killed = await liveOnce(place, { commits: 1, moment: 'after commit-record' });
    expect(killed).toMatchObject({ signal: 'SIGKILL', recovered: step });
    // It is open, for a minute if nobody takes the run over: and the last commit is there to be read.
    for (const records of await open()) expect(records).toBeGreaterThan(0);
    expect(await stateNow(place)).toBe(step);
    for (const records of await open()) expect(records).toBeGreaterThan(0);
    const committer = await openCommitter(
      settings(log, await openFolderStore(join(place.folder, 'blobs')), { run: place.run, group: place.run }),
    );
    // No waiting: what the broker says right behind the take-over.
    expect(await open()).toEqual([0, 0, 0, 0]);
    const recovered = await recover({ committer });
    expect(recovered!.commit.step).toBe(step);
    await trainAndCommit(SCENARIO, committer, progressFrom(SCENARIO, recovered), 3);
    await committer.close();
    expect(await stateNow(place)).toBe(step + 3);
    await client.close();
    await log.close();
  });

  test('a trainer that slept through a take-over is fenced when it wakes, wherever it slept, and changes nothing', {
    timeout: 300_000,
  }, async () => {
    await sleepThroughTakeOvers(place, ['before begin', 'after negatives', 'before commit', 'after commit']);
  });

  test('a broker killed in the middle of a commit, and started again, has all of the commit or nothing of it', {
    timeout: 300_000,
  }, async () => {
    let killAt = '';
    let restarted: Promise<void> = Promise.resolve();
    const onEffect: OnEffect = async (when, effect) => {
      if (`${when} ${effect}` !== killAt) return;
      killAt = '';
      const { port, dir } = broker!;
      await broker!.kill();
      // The trainer goes on at once, against a broker that is gone and comes back under its hands.
      restarted = startBroker({ port, dir }).then((next) => {
        broker = next;
      });
    };
    const log = await openLog(place.url);
    const store = await openFolderStore(join(place.folder, 'blobs'));
    const open = () => openCommitter(settings(log, store, { run: place.run, group: place.run, onEffect }));
    let step = 0;
    for (const moment of ['after negatives', 'before commit', 'after commit']) {
      const committer = await open();
      const recovered = await recover({ committer });
      expect(recovered?.commit.step ?? 0).toBe(step);
      const progress = progressFrom(SCENARIO, recovered);
      killAt = moment;
      const error = await trainAndCommit(SCENARIO, committer, progress, 2).then(
        () => null,
        (e: unknown) => e,
      );
      await restarted;
      expect(killAt).toBe('');
      if (error !== null) expect(error).toBeInstanceOf(RepulsorError);
      await committer.close();
      const next = await open();
      const found = await recover({ committer: next });
      // Told that it was made, it is there; told that it failed, it may be there or not, but never in part.
      expect(error === null ? [step + 2] : [step, step + 2], `${moment}: ${error}`).toContain(found?.commit.step ?? 0);
      if (found !== null) expectWhole(found, SCENARIO);
      await expectLogExact(log, place.run);
      step = found?.commit.step ?? 0;
      await next.close();
    }
    expect(step).toBeGreaterThan(0);
    await log.close();
  });
});
