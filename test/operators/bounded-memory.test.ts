import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/codec/single-object.ts';
import type { Log, LogRecord } from '../../src/log/log.ts';
import { openBatches } from '../../src/operators/batches.ts';
import { SETTINGS } from './streams.ts';

const SHAPE = [32, 32, 3] as const;
const IMAGES = 20;

/** A followed topic that never ends: each record is made when it is asked for. Every tenth is garbage. */
class EndlessLog {
  taken = 0;

  async partitions(): Promise<number[]> {
    return [0];
  }

  async topicId(): Promise<null> {
    return null;
  }

  async offsets() {
    return { earliest: 0, end: 0 };
  }

  async *read(topic: string, { signal }: { signal?: AbortSignal }): AsyncGenerator<LogRecord> {
    for (let offset = 0; !signal?.aborted; offset++) {
      if (offset > 20_000) throw new Error('read without end: nothing holds the source back');
      this.taken++;
      const images = Array.from({ length: IMAGES }, (_, i) => new Uint8Array(3072).fill(offset + i));
      const value =
        offset % 10 === 9
          ? Uint8Array.of(1)
          : encode('image-batch', {
              shape: [...SHAPE],
              encoding: 'RAW_U8',
              images,
              labels: null,
              eventTime: 0,
              source: '',
              encoder: null,
            });
      yield { topic, partition: 0, offset, timestamp: 0, key: null, value, headers: {} };
    }
  }
}

const settings = { ...SETTINGS, shape: SHAPE, epochs: null, window: 100, size: 8, depth: 3 };
const open = (log: EndlessLog) => openBatches(log as unknown as Log, settings);
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('an endless topic and a slow trainer', () => {
  test('no more is read than two windows, the batches ahead and the record under way take', async () => {
    const log = new EndlessLog();
    const stream = open(log);
    const bound = (batches: number): number => {
      const samples = (batches + settings.depth + 1) * settings.size + 2 * (settings.window + IMAGES);
      return Math.ceil(samples / IMAGES / 0.9) + 2;
    };
    await expect.poll(() => stream.stats.ready, { timeout: 60_000 }).toBe(settings.depth);
    await later(50); // more would be read now, if nothing held it back
    expect(log.taken).toBeLessThanOrEqual(bound(0));
    const before = log.taken;
    await later(50);
    expect(log.taken).toBe(before);
    for (let taken = 1; taken <= 60; taken++) {
      expect((await stream.next())!.size).toBe(settings.size);
      await later(2);
      expect(stream.stats.ready).toBeLessThanOrEqual(settings.depth);
      expect(log.taken).toBeLessThanOrEqual(bound(taken));
    }
    expect(log.taken).toBeGreaterThan(before);
    await stream.close();
    const closed = log.taken;
    await later(20);
    expect(log.taken).toBeLessThanOrEqual(closed + 1);
  });

  test('the memory held stays the same after hundreds of megabytes', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const held = async (): Promise<number> => {
      for (let i = 0; i < 3; i++) {
        collect();
        await later(5);
      }
      const { heapUsed, arrayBuffers, external } = process.memoryUsage();
      return heapUsed + Math.max(arrayBuffers, external);
    };
    const log = new EndlessLog();
    const stream = open(log);
    const consume = async (batches: number) => {
      for (let i = 0; i < batches; i++) await stream.next();
    };
    await consume(500);
    const early = await held();
    await consume(8_000); // 64,000 samples: 197 MB of pixels, 786 MB of floats
    const late = await held();
    await stream.close();
    expect(log.taken * IMAGES).toBeGreaterThan(64_000);
    expect(late - early).toBeLessThan(4 * 2 ** 20);
  });

  test('a full buffer does not hold up the event loop', async () => {
    const log = new EndlessLog();
    const stream = open(log);
    let turns = 0;
    let counting = true;
    const count = () => {
      turns++;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    for (let i = 0; i < 500; i++) await stream.next();
    counting = false;
    await stream.close();
    expect(turns).toBeGreaterThanOrEqual(log.taken - 1);
  });
});
