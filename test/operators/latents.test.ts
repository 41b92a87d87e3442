import { describe, expect, test } from 'vitest';
import type { Encoder } from '../../src/codec/records.ts';
import { encode } from '../../src/codec/single-object.ts';
import type { Batch } from '../../src/operators/batch.ts';
import { type BatchesSettings, openBatches } from '../../src/operators/batches.ts';
import type { StreamPosition } from '../../src/operators/position.ts';
import { rebuildBatches } from '../../src/operators/rebuild-batches.ts';
import type { Rejection } from '../../src/operators/sample.ts';
import { normals } from '../../src/random/philox.ts';
import { names, SETTINGS, take, topicOf } from './streams.ts';

const SCALE = 0.18215;
const A: Encoder = { sha256: 'a'.repeat(64), decoder: 'd'.repeat(64), scale: SCALE };
const B: Encoder = { ...A, sha256: 'b'.repeat(64) };

const bytesOf = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

/** A record of two latents of 1 x 2 x 1. */
const latents = (encoder: Encoder | null, first = 0) =>
  encode('image-batch', {
    shape: [1, 2, 1],
    encoding: 'LATENT_F32',
    images: [bytesOf([first, 1]), bytesOf([first + 1, 2])],
    labels: null,
    eventTime: 0,
    source: '',
    encoder,
  });

/** A record of one distribution over 1 x n x 1. */
const moments = (mean: readonly number[], std: readonly number[]) =>
  encode('image-batch', {
    shape: [1, mean.length, 1],
    encoding: 'LATENT_MOMENTS_F32',
    images: [bytesOf([...mean, ...std])],
    labels: null,
    eventTime: 0,
    source: '',
    encoder: A,
  });

async function run(values: Uint8Array[], settings: Partial<BatchesSettings> = {}) {
  const letters: Rejection[] = [];
  const batches: Batch[] = [];
  const deadLetters = (rejections: readonly Rejection[]) => void letters.push(...rejections);
  const stream = openBatches(await topicOf(values), { ...SETTINGS, latentScale: SCALE, deadLetters, ...settings });
  try {
    for (let batch = await stream.next(); batch !== null; batch = await stream.next()) batches.push(batch);
  } finally {
    await stream.close();
  }
  return { batches, letters };
}

describe('latents of one encoder', () => {
  test('are trained on, and those of another, of none, or for another scale are set aside by name', async () => {
    const values = [latents(A), latents(B), latents(null), latents({ ...A, scale: 1 }), latents(A, 4)];
    const { batches, letters } = await run(values);
    expect(names(batches)).toEqual(['0/0#0', '0/0#1', '0/4#0', '0/4#1']);
    expect(letters.map(({ offset, reason }) => [offset, reason])).toEqual([
      [1, 'encoder'],
      [2, 'encoder'],
      [3, 'encoder'],
    ]);
    expect(letters[0]!.message).toMatch(/encoder bbbbbbbbbbbb.*encoder aaaaaaaaaaaa/);
    expect(letters[2]!.message).toMatch(/scale 1, not 0.18215/);
  });

  test('that is not named are of a kind too', async () => {
    const { batches, letters } = await run([latents(null), latents(A), latents(null)]);
    expect(names(batches)).toEqual(['0/0#0', '0/0#1', '0/2#0', '0/2#1']);
    expect(letters.map(({ reason }) => reason)).toEqual(['encoder']);
    expect(batches.at(-1)!.position.encoder).toEqual({ sha256: null, decoder: null });
  });

  test.each([1, 3, 100])('are named in every position, which a resumed run holds to (window of %i)', async (window) => {
    const values = [latents(A), latents(A, 2), latents(B), latents(A, 4), latents(B)];
    const whole = (await run(values, { window, epochs: 2 })).batches;
    expect(whole.length).toBe(12);
    for (const [i, { position }] of whole.entries()) {
      expect(position.encoder).toEqual({ sha256: A.sha256, decoder: A.decoder });
      const rest = (await run(values, { window, epochs: 2, position })).batches;
      expect(rest.map(({ images }) => images)).toEqual(whole.slice(i + 1).map(({ images }) => images));
    }
  });

  test('is the one of the run, not the first after a resume', async () => {
    const settings = { epochs: null, topics: ['images'], latentScale: SCALE };
    const log = await topicOf([latents(A)]);
    const [, second] = await take(log, settings, 2);
    const position: StreamPosition = second!.position;
    await log.append('images', [{ value: latents(B) }, { value: latents(A, 8) }]);
    expect(names(await take(log, { ...settings, position }, 2))).toEqual(['0/2#0', '0/2#1']);
  });
});

test('latents for another scale than the pipeline has end the run, which is told the scale to set', async () => {
  await expect(run([latents(A)], { latentScale: 1 })).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining('multiplied by 0.18215; operators.latentScale is 1'),
  });
  expect((await run([latents(null)], { latentScale: 1 })).batches.length).toBe(2);
});

test('latents are not mirrored: the setting is refused', async () => {
  for (const value of [latents(A), moments([0, 0], [1, 1])])
    await expect(run([value], { flip: true })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('operators.flip'),
    });
});

describe('distributions', () => {
  test('are drawn from anew each time, by the seed and the ordinal alone', async () => {
    const values = [moments([1, -2], [0.5, 0]), moments([0, 3], [2, 1])];
    const { batches } = await run(values, { epochs: 3, window: 2, size: 2 });
    for (const { images, ids, ordinal } of batches) {
      for (const [at, { offset }] of ids.entries()) {
        const [mean, std] = [
          [
            [1, -2],
            [0.5, 0],
          ],
          [
            [0, 3],
            [2, 1],
          ],
        ][offset]!;
        const z = normals(SETTINGS.seed, 'posterior', ordinal + at, 2);
        for (const i of [0, 1]) expect(images[2 * at + i]).toBe(Math.fround((mean![i]! + std![i]! * z[i]!) * SCALE));
      }
    }
    const drawn = batches.flatMap(({ images }) => [...images]).filter((value) => value !== Math.fround(-2 * SCALE));
    expect(new Set(drawn).size).toBe(9);
    expect((await run(values, { epochs: 3, window: 2, size: 2 })).batches.map(({ images }) => images)).toEqual(
      batches.map(({ images }) => images),
    );
    expect((await run(values, { seed: 6 })).batches[0]!.images).not.toEqual(batches[0]!.images);
  });

  test('give what they say: mean and deviation of 20,000 draws', async () => {
    const n = 2_000;
    const value = moments(Array(n).fill(3), Array(n).fill(2));
    const drawn = (await run([value], { shape: [1, n, 1], epochs: 10 })).batches.flatMap(({ images }) => [...images]);
    const mean = drawn.reduce((sum, x) => sum + x, 0) / drawn.length;
    const deviation = Math.sqrt(drawn.reduce((sum, x) => sum + (x - mean) ** 2, 0) / drawn.length);
    // Five standard errors.
    expect(Math.abs(mean - 3 * SCALE)).toBeLessThan((5 * 2 * SCALE) / Math.sqrt(drawn.length));
    expect(Math.abs(deviation - 2 * SCALE)).toBeLessThan((5 * 2 * SCALE) / Math.sqrt(2 * drawn.length));
  });

  test('come out of the journal as the stream drew them', async () => {
    const log = await topicOf([moments([1, -2], [0.5, 1]), moments([0, 3], [2, 1])]);
    const batches = await take(log, { epochs: 3, window: 2, size: 3, latentScale: SCALE });
    async function* identities() {
      for (const { ids, ordinal } of batches) yield { samples: ids, ordinal };
    }
    const settings = { shape: [1, 2, 1], classes: 10, flip: false, latentScale: SCALE, seed: SETTINGS.seed } as const;
    const found = [];
    for await (const { batch } of rebuildBatches(log, identities(), settings)) found.push(batch!.images);
    expect(found).toEqual(batches.map(({ images }) => images));
  });

  test('with a deviation below zero, or cut short, are set aside', async () => {
    const short = encode('image-batch', {
      shape: [1, 2, 1],
      encoding: 'LATENT_MOMENTS_F32',
      images: [bytesOf([1, 2])],
      labels: null,
      eventTime: 0,
      source: '',
      encoder: A,
    });
    const { letters, batches } = await run([moments([0, 0], [1, -1]), short, moments([0, 0], [1, 1])]);
    expect(letters.map(({ reason }) => reason)).toEqual(['non_finite', 'length']);
    expect(letters[0]!.message).toContain('the deviation of element 1 is -1');
    expect(names(batches)).toEqual(['0/2#0']);
  });
});
