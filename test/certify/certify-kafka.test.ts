import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { certify } from '../../src/certify/certify.ts';
import { openScratch, SCRATCH_PREFIX } from '../../src/certify/scratch.ts';
import type { Log } from '../../src/log/log.ts';
import { openLog } from '../../src/log/open-log.ts';
import { builtPackage } from '../built-package.ts';
import { brokerForTests, kafkaForTests } from '../log/kafka-broker.ts';
import { newName } from '../log/logs-under-test.ts';
import { addBadRecords, fillTopic, tinyPipeline } from '../trainer/tiny-run.ts';

/** The trials' processes, as the package has them. */
const CHILD = pathToFileURL(join(await builtPackage(), 'dist/certify/trial-child.js'));

const url = await kafkaForTests();

/** The same certifier with its scratch topics on a real broker. */
describe.runIf(url !== null)('on Kafka', () => {
  test('a sound pipeline holds, its topic is only read, and no scratch topic or group is left', async () => {
    const topic = newName('images');
    const log = await openLog(url!);
    await fillTopic(log, topic);
    await addBadRecords(log, topic);
    const before = await lookAround(log, topic);
    for (const only of ['sleep-before-commit', 'kill-after-offsets']) {
      const certificate = await certify({
        pipeline: { ...tinyPipeline(), log: url!, source: { ...tinyPipeline().source, topic } },
        file: 'tiny.ts',
        broker: url!,
        steps: 12,
        trials: null,
        seed: 1,
        only,
        child: CHILD,
        engine: 'cpu',
        threads: null,
        repeat: 'tiny.ts',
        signal: new AbortController().signal,
        observer: {},
      });
      expect(certificate.trials.map(({ id, outcome, what }) => [id, outcome, what])).toEqual([
        ['again', 'held', expect.stringContaining('identical, bit for bit: 12 steps')],
        [only, 'held', expect.stringContaining('by 2 trainers')],
      ]);
      expect(certificate).toMatchObject({ held: true, log: url, notes: [], input: { partitions: 2, images: 130 } });
    }
    await expect.poll(() => lookAround(log, topic), { timeout: 30_000 }).toEqual(before);
    await log.close();
  }, 900_000);
});

async function lookAround(log: Log, topic: string) {
  const kafka = new Kafka({ brokers: [url!.slice('kafka://'.length)], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const { groups } = await admin.listGroups();
  await admin.disconnect();
  return {
    topics: (await log.topics()).filter((name) => name.startsWith(SCRATCH_PREFIX)),
    groups: groups.map(({ groupId }) => groupId).filter((id) => id.includes(SCRATCH_PREFIX)),
    offsets: [await log.offsets(topic, 0), await log.offsets(topic, 1)],
  };
}

const strict = url === null ? null : await brokerForTests({ settings: { 'delete.topic.enable': 'false' } });

test.runIf(strict !== null)(
  'where topics may not be deleted, those left are named',
  async () => {
    const scratch = await openScratch(strict!.url);
    await scratch.log.createTopic(scratch.topic(0));
    const left = await scratch.close();
    expect(left).toEqual({ topics: [scratch.topic(0)], why: expect.stringContaining('deleting topic') });
    await strict!.kill();
  },
  120_000,
);
