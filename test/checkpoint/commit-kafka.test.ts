import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, describe, expect, test } from 'vitest';
import { openCommitter } from '../../src/checkpoint/commit.ts';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { recover } from '../../src/checkpoint/recover.ts';
import { openLog } from '../../src/log/open-log.ts';
import { brokerForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';
import { commitContract } from './commit-contract.ts';
import { freshProgress, SCENARIO, settings, trainAndCommit } from './scenario.ts';

// Its own, never one that is running already: the tests delete topics.
const broker = await brokerForTests();
const url = broker?.url ?? null;
afterAll(() => broker?.kill());

describe.runIf(url !== null)('commit and recovery on a Kafka broker', () => {
  const admin = new Kafka({ brokers: [`${url}`.slice('kafka://'.length)], logLevel: logLevel.NOTHING }).admin();
  afterAll(() => admin.disconnect());

  commitContract(async () => {
    await admin.connect();
    return {
      log: await openLog(url!),
      async forget(topic, offset) {
        await admin.fetchTopicOffsets(topic); // loads the metadata that the next call needs
        await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: `${offset}` }] });
      },
      async remove() {
        const topics = (await admin.listTopics()).filter((topic) => /^(scenario|images)/.test(topic));
        await admin.deleteTopics({ topics });
      },
    };
  });

  test.each(['journal', 'negatives'] as const)(
    'a topic of the run that was deleted, the %s, is not gone on without',
    async (name) => {
      const log = await openLog(url!);
      const store = await openFolderStore(await mkdtemp(join(tmpdir(), 'repulsor-blobs-')));
      const first = await openCommitter(settings(log, store, { run: newName('scenario') }));
      const { topics, settings: same } = first;
      await trainAndCommit(SCENARIO, first, freshProgress(SCENARIO), 2);
      await first.close();
      await admin.deleteTopics({ topics: [topics[name]] });
      const second = await openCommitter(same);
      await expect(recover({ committer: second })).rejects.toMatchObject({
        code: 'STATE_MISSING',
        exitStatus: 4,
        message: expect.stringContaining(topics[name]),
      });
      await second.close();
      if (name === 'journal') {
        const third = await openCommitter(same);
        expect(await recover({ committer: third, fallback: true })).toMatchObject({ commit: { step: 2 } });
        await third.close();
      }
      await log.close();
    },
  );

  test("the group's offsets are part of the commit: the oldest that a restart would read", async () => {
    const log = await openLog(url!);
    const store = await openFolderStore(await mkdtemp(join(tmpdir(), 'repulsor-blobs-')));
    await log.createTopic('images', { partitions: 2 });
    const group = newName('group');
    const offsets = async () => {
      const [topic] = await admin.fetchOffsets({ groupId: group, topics: ['images'] });
      return topic!.partitions.map(({ partition, offset }) => [partition, offset]);
    };
    const committer = await openCommitter(settings(log, store, { group }));
    const progress = freshProgress(SCENARIO);
    await trainAndCommit(SCENARIO, committer, progress, 2);
    // Partition 1 has the open window's records 4 and 5; of partition 0 all before 6 were read.
    expect(await offsets()).toEqual([
      [0, '6'],
      [1, '4'],
    ]);
    const next = await openCommitter(settings(log, store, { group }));
    await expect(trainAndCommit(SCENARIO, committer, progress, 2)).rejects.toMatchObject({ code: 'FENCED' });
    expect(await offsets()).toEqual([
      [0, '6'],
      [1, '4'],
    ]);
    await next.close();
    await log.close();
    await rm(store.where, { recursive: true });
  });
});
