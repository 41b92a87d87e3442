import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openBatches } from '../../src/operators/batches.ts';
import { imageBatch, SETTINGS, take, topicOf } from './streams.ts';

const topic = () => topicOf(Array.from({ length: 60 }, (_, i) => imageBatch(i, 4)));
const settings = { ...SETTINGS, window: 16, size: 6, flip: true, epochs: 2 };

test('batches that are given back change nothing of those to come, and few images’ memories serve a long stream', async () => {
  const log = await topic();
  const kept = await take(log, settings);
  expect(new Set(kept.map(({ images }) => images.buffer)).size).toBe(kept.length);
  const stream = openBatches(log, settings);
  const memories = new Set<ArrayBufferLike>();
  let at = 0;
  for (let batch = await stream.next(); batch !== null; batch = await stream.next()) {
    const before = batch.images.slice();
    await nextTurn(); // others are filled meanwhile
    expect(batch.images).toEqual(before);
    expect(batch).toEqual(kept[at++]);
    memories.add(batch.images.buffer);
    stream.reuse(batch);
  }
  await stream.close();
  expect(at).toBe(kept.length);
  expect(memories.size).toBeLessThan(kept.length / 4);
});

test('a batch that is given back twice, or to another stream, is taken once', async () => {
  const log = await topic();
  const [one, other] = [openBatches(log, settings), openBatches(log, settings)];
  const batch = (await one.next())!;
  other.reuse(batch);
  one.reuse(batch);
  one.reuse(batch);
  const rest = [];
  for (let next = await one.next(); next !== null; next = await one.next()) rest.push(next);
  expect(rest.filter(({ images }) => images.buffer === batch.images.buffer)).toHaveLength(1);
  const others = [];
  for (let next = await other.next(); next !== null; next = await other.next()) others.push(next);
  expect(others.filter(({ images }) => images.buffer === batch.images.buffer)).toHaveLength(0);
  await Promise.all([one.close(), other.close()]);
});
