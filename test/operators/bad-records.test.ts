import { describe, expect, test } from 'vitest';
import { decode as decodeRecord, encode } from '../../src/codec/single-object.ts';
import { type BatchesSettings, openBatches } from '../../src/operators/batches.ts';
import { asDeadLetter } from '../../src/operators/dead-letter.ts';
import type { Rejection } from '../../src/operators/sample.ts';
import { imageBatch, names, SETTINGS, take, topicOf } from './streams.ts';

const garbage = Uint8Array.of(1, 2, 3);

/** Takes everything, and gives what was set aside and counted. */
async function run(values: (Uint8Array | null)[], settings: Partial<BatchesSettings> = {}) {
  const letters: Rejection[] = [];
  const deadLetters = (rejections: readonly Rejection[]) => void letters.push(...rejections);
  const stream = openBatches(await topicOf(values), { ...SETTINGS, deadLetters, ...settings });
  const batches = [];
  for (let batch = await stream.next(); batch !== null; batch = await stream.next()) batches.push(batch);
  await stream.close();
  return { letters, stats: stream.stats, samples: names(batches) };
}

const other = (fields: object) =>
  encode('image-batch', {
    shape: [1, 2, 1],
    encoding: 'RAW_U8',
    images: [Uint8Array.of(7, 8)],
    labels: null,
    eventTime: 0,
    source: '',
    encoder: null,
    ...fields,
  });

describe('what cannot be used', () => {
  test('is set aside with its place, reason and bytes, and counted; the rest goes on', async () => {
    const values = [
      imageBatch(1, 2),
      garbage,
      null,
      imageBatch(2, 3, [1]),
      other({ shape: [2, 1, 1] }),
      imageBatch(3, 1),
    ];
    const { letters, stats, samples } = await run(values);
    expect(samples).toEqual(['0/0#0', '0/0#1', '0/3#0', '0/3#2', '0/5#0']);
    expect(letters).toMatchObject([
      { topic: 'images', partition: 0, offset: 1, index: null, reason: 'undecodable', bytes: garbage },
      { topic: 'images', partition: 0, offset: 3, index: 1, reason: 'length' },
      { topic: 'images', partition: 0, offset: 4, index: null, reason: 'shape', bytes: values[4] },
    ]);
    expect([...letters[1]!.bytes]).toEqual([1]);
    expect(letters[1]!.message).toMatch(/images\/0 offset 3 image 1/);
    // Letters are kept until a commit: not with the megabytes that their bytes were read among.
    for (const { bytes } of letters) expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
    expect(stats.records).toEqual({ used: 3, rejected: 2, tombstone: 1 });
    expect(stats.rejections).toEqual({ undecodable: 1, length: 1, shape: 1 });
    expect(stats).toMatchObject({ samples: 5, taken: 5, leftover: 0, eventTime: 3_000 });
  });

  test.each([
    ['a label beyond the classes', other({ labels: [10] }), 'labels'],
    ['a negative label', other({ labels: [-1] }), 'labels'],
    ['fewer labels than images', other({ labels: [] }), 'labels'],
    ['no images', other({ images: [] }), 'count'],
    [
      'a record of another kind',
      encode('negatives', { step: 0, rows: 0, dim: 0, keys: garbage, labels: [] }),
      'unknown_schema',
    ],
    ['more bytes than a record may have', new Uint8Array(17 * 2 ** 20), 'too_large'],
  ])('%s is set aside', async (_, value, reason) => {
    const { letters, samples } = await run([value, imageBatch(1, 1)]);
    expect(letters.map((letter) => letter.reason)).toEqual([reason]);
    expect(samples).toEqual(['0/1#0']);
  });

  test('becomes a dead-letter record that reads back', async () => {
    const { letters } = await run([garbage, imageBatch(1, 1)]);
    const record = decodeRecord('dead-letter', encode('dead-letter', asDeadLetter(letters[0]!, 99)));
    expect(record).toMatchObject({ topic: 'images', offset: 0, index: null, reason: 'undecodable', time: 99 });
    expect(Uint8Array.from(record.value!)).toEqual(garbage);
    expect(asDeadLetter({ ...letters[0]!, bytes: new Uint8Array(900_001) }, 0).value).toBeNull();
  });

  test('is kept before any later sample is given out', async () => {
    const events: string[] = [];
    const deadLetters = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      events.push('kept');
    };
    const stream = openBatches(await topicOf([garbage, imageBatch(1, 1)]), { ...SETTINGS, deadLetters });
    expect(names([(await stream.next())!])).toEqual(['0/1#0']);
    events.push('given');
    await stream.close();
    expect(events).toEqual(['kept', 'given']);
  });

  test('and the sink that fails ends the stream with its error', async () => {
    const deadLetters = () => Promise.reject(new Error('no room'));
    await expect(run([garbage, imageBatch(1, 1)], { deadLetters })).rejects.toThrow('no room');
  });

  test('in a reopened window is not set aside twice', async () => {
    const log = await topicOf([imageBatch(1, 3, [0]), garbage, imageBatch(2, 2)]);
    const letters: Rejection[] = [];
    const deadLetters = (rejections: readonly Rejection[]) => void letters.push(...rejections);
    const [first] = await take(log, { window: 3, deadLetters }, 1);
    expect(letters.map(({ offset }) => offset)).toEqual([0, 1]);
    const rest = await take(log, { window: 3, deadLetters, position: first!.position });
    expect(letters).toHaveLength(2);
    expect(names([first!, ...rest])).toHaveLength(4);
  });
});

describe('too many bad records', () => {
  const badRecords = { share: 0.5, over: 4 };

  test('stop the stream, saying how many, the limit and the last one', async () => {
    await expect(run([imageBatch(1, 1), garbage, garbage, garbage], { badRecords })).rejects.toMatchObject({
      code: 'TOO_MANY_BAD_RECORDS',
      message: expect.stringMatching(/3 of the last 4 .* the limit is 2.*offset 3/),
    });
  });

  test('are counted over the last records only', async () => {
    const good = () => imageBatch(1, 1);
    const values = [garbage, garbage, good(), good(), garbage, garbage, good(), good(), garbage];
    expect((await run(values, { badRecords })).letters).toHaveLength(5);
    const late = [good(), good(), good(), good(), good(), garbage, garbage, garbage];
    await expect(run(late, { badRecords })).rejects.toMatchObject({ code: 'TOO_MANY_BAD_RECORDS' });
    await expect(run([garbage, garbage, good(), garbage], { badRecords })).rejects.toMatchObject({
      code: 'TOO_MANY_BAD_RECORDS',
    });
  });

  test('a record with some bad images counts their share; tombstones do not count', async () => {
    const half = imageBatch(1, 2, [0]);
    expect((await run([half, half, half, half], { badRecords })).letters).toHaveLength(4);
    await expect(run([half, half, half, garbage], { badRecords })).rejects.toMatchObject({
      code: 'TOO_MANY_BAD_RECORDS',
    });
    await expect(run([garbage, null, garbage, null, garbage], { badRecords })).rejects.toMatchObject({
      code: 'TOO_MANY_BAD_RECORDS',
    });
  });

  test('a share of 1 never stops it', async () => {
    const values = [...Array<Uint8Array>(20).fill(garbage), imageBatch(1, 1)];
    expect((await run(values, { badRecords: { share: 1, over: 4 } })).letters).toHaveLength(20);
  });
});
