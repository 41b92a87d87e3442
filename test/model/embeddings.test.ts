import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCpuEngine } from '../../src/engine/eager/eager-engine.ts';
import { embed, patchify, positions2d, timestepFeatures, unpatchify } from '../../src/model/embeddings.ts';

beforeAll(async () => void (await openCpuEngine()));

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe('patches', () => {
  it('go in as channel, row, column within a token and tokens go row by row', () => {
    // One 4x4 image of 2 channels whose pixel (row, column, channel) is the number 100 row + 10 column + channel.
    const image = count(4).flatMap((row) =>
      count(4).flatMap((column) => [0, 1].map((c) => 100 * row + 10 * column + c)),
    );
    const tokens = patchify(tf.tensor4d(image, [1, 4, 4, 2]), 2);
    expect(tokens.shape).toEqual([1, 4, 8]);
    expect((tokens.arraySync() as number[][][])[0]).toEqual([
      [0, 10, 100, 110, 1, 11, 101, 111],
      [20, 30, 120, 130, 21, 31, 121, 131],
      [200, 210, 300, 310, 201, 211, 301, 311],
      [220, 230, 320, 330, 221, 231, 321, 331],
    ]);
  });

  it('come out as row, column, channel within a token', () => {
    const tokens = tf.tensor3d(count(16), [1, 2, 8]); // two tokens side by side, p = 2, 2 channels
    const image = unpatchify(tokens, 2, 1, 2, 2);
    expect(image.shape).toEqual([1, 2, 4, 2]);
    expect((image.arraySync() as number[][][][])[0]).toEqual([
      [
        [0, 1],
        [2, 3],
        [8, 9],
        [10, 11],
      ],
      [
        [4, 5],
        [6, 7],
        [12, 13],
        [14, 15],
      ],
    ]);
  });

  it('are undone by unpatchify for any shape, but for the channel order within a token', () => {
    const size = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(size, size, size, size, size, (b, h, w, p, c) => {
        const x = tf.reshape(tf.range(0, b * h * p * w * p * c), [b, h * p, w * p, c]);
        const tokens = tf.reshape(patchify(x, p), [b, h * w, c, p * p]);
        const reordered = tf.reshape(tf.transpose(tokens, [0, 1, 3, 2]), [b, h * w, p * p * c]); // to row, column, channel
        expect([...unpatchify(reordered, p, h, w, c).dataSync()]).toEqual([...x.dataSync()]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the timestep sinusoid', () => {
  it('is cos then sin at frequencies 10000^(-i / half)', () => {
    const features = timestepFeatures(tf.tensor1d([0, 1, 0.25]), 4);
    // half = 2: frequencies 1 and 1/100.
    const expected = [
      [1, 1, 0, 0],
      [0.5403023059, 0.9999500004, 0.8414709848, 0.0099998333],
      [0.9689124217, 0.999996875, 0.2474039593, 0.0024999974],
    ];
    (features.arraySync() as number[][]).forEach((row, i) => {
      row.forEach((v, j) => void expect(v).toBeCloseTo(expected[i]![j]!, 6));
    });
  });

  it('starts at frequency 1 and ends just above the longest period', () => {
    const row = (timestepFeatures(tf.tensor1d([1]), 256).arraySync() as number[][])[0]!;
    expect(row[0]).toBeCloseTo(Math.cos(1), 6);
    expect(row[255]).toBeCloseTo(Math.sin(10_000 ** (-127 / 128)), 8);
  });
});

describe('positions', () => {
  it('code the column in the first half and the row in the second, sines then cosines', () => {
    const table = positions2d(2, 3, 8); // quarter = 2: frequencies 1 and 1/100
    const at = (row: number, column: number) => [...table.subarray((row * 3 + column) * 8, (row * 3 + column + 1) * 8)];
    const close = (got: number[], expected: number[]) =>
      got.forEach((v, i) => void expect(v).toBeCloseTo(expected[i]!, 6));
    close(at(0, 0), [0, 0, 1, 1, 0, 0, 1, 1]);
    close(at(0, 2), [0.9092974268, 0.0199986667, -0.4161468365, 0.9998000067, 0, 0, 1, 1]);
    close(at(1, 0), [0, 0, 1, 1, 0.8414709848, 0.0099998333, 0.5403023059, 0.9999500004]);
    expect(table.length).toBe(48);
  });

  it('tell every token from every other', () => {
    const table = positions2d(4, 7, 12);
    const rows = count(28).map((i) => table.subarray(i * 12, (i + 1) * 12).join());
    expect(new Set(rows).size).toBe(28);
  });
});

describe('label embedding', () => {
  it('takes the rows of the table, and gives each row the sum of its gradients', () => {
    const table = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
    const labels = tf.tensor1d([2, 0, 2], 'int32');
    expect(embed(labels, table).arraySync()).toEqual([
      [5, 6],
      [1, 2],
      [5, 6],
    ]);
    const dy = tf.tensor2d([1, 10, 100, 1000, 3, 30], [3, 2]);
    const gradient = tf.grad((t) => tf.sum(tf.mul(embed(labels, t as tf.Tensor2D), dy)))(table);
    expect(gradient.arraySync()).toEqual([
      [100, 1000],
      [0, 0],
      [4, 40],
    ]);
  });
});
