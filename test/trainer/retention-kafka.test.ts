import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { runTopics } from '../../src/checkpoint/run-id.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Headroom } from '../../src/trainer/headroom.ts';
import { guardRetention } from '../../src/trainer/retention-guard.ts';
import { kafkaForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';

const url = await kafkaForTests();

describe.runIf(url !== null)('the retention guard on Kafka', () => {
  test('tells time and bytes left of a topic with limits, warns as it comes near, and names what is gone', async () => {
    const log = await openLog(url!);
    const admin = new Kafka({ brokers: [url!.slice('kafka://'.length)], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const topic = newName('images');
    const limits = { 'retention.ms': '3600000', 'retention.bytes': '1000000' };
    const configEntries = Object.entries(limits).map(([name, value]) => ({ name, value }));
    await admin.createTopics({ topics: [{ topic, configEntries }], waitForLeaders: true });
    const run = newName('run');
    const topics = runTopics(run);
    for (const own of Object.values(topics)) await log.createTopic(own);
    // Twenty records of 10 kB, written ten minutes ago, then one that is new.
    const old = Date.now() - 600_000;
    const written = Array.from({ length: 20 }, () => ({ value: new Uint8Array(10_000), timestamp: old }));
    await log.append(topic, [...written, { value: new Uint8Array(10_000) }]);

    const at = (offset: number) => ({
      commit: {
        position: { next: [{ topic, partition: 0, offset }], bounds: null, window: null },
        negatives: { begin: 0, end: 0, capacity: 0, count: 0 },
      },
    });
    const committer = { parent: at(0) as never, topics, lineage: { at: async () => null } };
    const warnings: string[] = [];
    let inputs: Headroom | null = null;
    const guard = await guardRetention({
      log,
      inputs: [topic],
      committer,
      keep: 2,
      onHeadroom: (headroom) => {
        if (headroom.topic === topic && headroom.need === 'resume') inputs = headroom;
      },
      onWarning: (message) => warnings.push(message),
    });
    await guard.look();
    expect(inputs).toMatchObject({ records: 0, offset: 0 });
    const { seconds, bytes, share } = inputs! as Headroom;
    expect(seconds).toBeGreaterThan(2_800);
    expect(seconds).toBeLessThanOrEqual(3_000);
    expect(bytes).toBeGreaterThan(785_000);
    expect(bytes).toBeLessThan(790_000);
    expect(share).toBeCloseTo(bytes! / 1_000_000, 5);
    expect(warnings).toEqual([]);

    // 600 kB more: of the limit less than a fifth is left for what is needed.
    await log.append(
      topic,
      Array.from({ length: 60 }, () => ({ value: new Uint8Array(10_000) })),
    );
    await guard.look();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      new RegExp(`^${topic}, partition 0: retention comes near offset 0, .* after about 18\\d{4} more bytes`),
    );

    await admin.fetchTopicOffsets(topic); // loads the metadata that the next call needs
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '7' }] });
    await guard.look();
    await guard.look();
    expect(warnings.slice(1)).toEqual([
      `${topic}, partition 0: offsets 0 to 6 were removed (7 records at most): the earliest left is 7; the next start of this run needs them and would be refused`,
    ]);
    committer.parent = at(81) as never;
    guard.committed();
    await guard.look();
    expect(warnings[2]).toBe(
      `${topic}, partition 0: retention is far again from what the next start of this run needs`,
    );
    guard.close();
    await admin.disconnect();
    await log.close();
  }, 120_000);
});
