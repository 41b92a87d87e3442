import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeOnnx, type OnnxGraph } from '../../scripts/onnx/onnx-writer.ts';
import { type OnnxExtractorSettings, openOnnxExtractor } from '../../src/evaluation/onnx-extractor.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-onnx-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The mean of each channel (n, 3, 1, 1), and logits (n, 2): the mean of all, and its negative. */
const MEANS: OnnxGraph = {
  name: 'means',
  inputs: [{ name: 'x', shape: ['n', 3, 2, 2] }],
  outputs: [
    { name: 'means', shape: ['n', 3, 1, 1] },
    { name: 'logits', shape: ['n', 2] },
    { name: 'whole', shape: ['n', 3, 2, 2] },
  ],
  constants: {
    w: { shape: [3, 2], data: Float32Array.of(1, -1, 1, -1, 1, -1).map((value) => value / 3) },
    flat: { shape: [2], data: BigInt64Array.of(-1n, 3n) },
  },
  nodes: [
    { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['means'] },
    { op: 'Reshape', inputs: ['means', 'flat'], outputs: ['rows'] },
    { op: 'MatMul', inputs: ['rows', 'w'], outputs: ['logits'] },
    { op: 'Identity', inputs: ['x'], outputs: ['whole'] },
  ],
};
const PLAIN: OnnxExtractorSettings = { size: null, range: 'signed', features: null, logits: null };

async function written(graph: OnnxGraph): Promise<string> {
  const file = join(folder, `${graph.name}.onnx`);
  await writeFile(file, encodeOnnx(graph));
  return file;
}

async function features(
  images: readonly number[],
  shape: [number, number, number],
  over: Partial<OnnxExtractorSettings> = {},
) {
  const extractor = await openOnnxExtractor(await written(MEANS), { ...PLAIN, ...over });
  try {
    return await extractor.extract(Float32Array.from(images), shape);
  } finally {
    extractor.dispose();
  }
}

/** Two images of 2 x 2 x 3: one whose channels are 1, 0 and -1, one of values that lie outside. */
const IMAGES = [...Array(4).fill([1, 0, -1]).flat(), ...Array(4).fill([0.5, 2, -3]).flat()];

test('channels come first where the model declares it, and features are its first output', async () => {
  const { features: found, probabilities } = await features(IMAGES, [2, 2, 3]);
  expect(found.shape).toEqual([2, 3]);
  expect([...found.data]).toEqual([1, 0, -1, 0.5, 1, -1]); // what lies outside of a picture is cut off
  expect(probabilities).toBe(null);
});

test('channels come last where the model declares that', async () => {
  const graph: OnnxGraph = {
    name: 'last',
    inputs: [{ name: 'x', shape: ['n', 'h', 'w', 3] }],
    outputs: [{ name: 'y', shape: ['n', 3] }],
    constants: { flat: { shape: [2], data: BigInt64Array.of(-1n, 12n) } },
    nodes: [{ op: 'Reshape', inputs: ['x', 'flat'], outputs: ['y'] }],
  };
  const extractor = await openOnnxExtractor(await written(graph), PLAIN);
  const { features: found } = await extractor.extract(Float32Array.from(IMAGES), [2, 2, 3]);
  expect([...found.data.subarray(0, 12)]).toEqual(IMAGES.slice(0, 12));
  extractor.dispose();
});

test('grey images are given three times, and every range is what it says', async () => {
  const grey = [0, 0, 0, 0];
  const mean = async (range: OnnxExtractorSettings['range']) => [
    ...(await features(grey, [2, 2, 1], { range })).features.data,
  ];
  expect(await mean('signed')).toEqual([0, 0, 0]);
  expect(await mean('unit')).toEqual([0.5, 0.5, 0.5]);
  expect(await mean('bytes')).toEqual([128, 128, 128]);
  const imagenet = await mean('imagenet');
  for (const [k, [m, s]] of [
    [0.485, 0.229],
    [0.456, 0.224],
    [0.406, 0.225],
  ].entries())
    expect(imagenet[k]).toBeCloseTo((0.5 - m!) / s!, 5);
});

test('images are brought to the size that the model declares, or that was asked for', async () => {
  const image = Array.from({ length: 16 }, (_, i) => (i % 4 < 2 ? -1 : 1));
  expect([...(await features(image, [4, 4, 1])).features.data]).toEqual([0, 0, 0]);
  // Another size than the model's is refused by the model.
  await expect(features(image, [4, 4, 1], { size: [3, 3] })).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
});

test('logits become probabilities', async () => {
  const { probabilities } = await features(IMAGES, [2, 2, 3], { logits: 'logits' });
  const odds = (x: number) => Math.exp(2 * x);
  const mean = (0.5 + 1 - 1) / 3;
  expect(probabilities!.shape).toEqual([2, 2]);
  expect(probabilities!.data[0]).toBeCloseTo(0.5, 6);
  expect(probabilities!.data[2]).toBeCloseTo(odds(mean) / (odds(mean) + 1), 6);
});

test('more images than one call takes, and a model of a fixed number, give a row an image', async () => {
  const graph: OnnxGraph = { ...MEANS, name: 'four', inputs: [{ name: 'x', shape: [4, 3, 2, 2] }] };
  const images = Float32Array.from({ length: 103 * 12 }, (_, i) => Math.floor(i / 12) / 103);
  for (const file of [await written(MEANS), await written(graph)]) {
    const extractor = await openOnnxExtractor(file, PLAIN);
    const { features: found } = await extractor.extract(images, [2, 2, 3]);
    expect(found.shape).toEqual([103, 3]);
    expect(found.data[3 * 102]).toBeCloseTo(102 / 103, 6);
    extractor.dispose();
  }
});

test('the id is of the model and of all that decides the features', async () => {
  const file = await written(MEANS);
  const ids = [];
  for (const over of [{}, { range: 'unit' as const }, { size: [2, 2] as const }, { features: 'logits' }]) {
    const extractor = await openOnnxExtractor(file, { ...PLAIN, ...over });
    ids.push(extractor.id);
    extractor.dispose();
  }
  expect(ids[0]).toMatch(/^onnx:[0-9a-f]{64}:2x2:signed:means$/);
  expect(new Set(ids).size).toBe(3); // the size is the declared one
});

test('what is no extractor of images is refused by what it is', async () => {
  const flat: OnnxGraph = {
    ...MEANS,
    name: 'flat',
    inputs: [{ name: 'x', shape: ['n', 3] }],
    nodes: MEANS.nodes.slice(3),
  };
  const only = { ...flat, outputs: [{ name: 'whole', shape: ['n', 3] }] };
  await expect(openOnnxExtractor(await written(only), PLAIN)).rejects.toThrow(
    /does not take images, but x float32 \[n, 3\]/,
  );
  await expect(openOnnxExtractor(await written(MEANS), { ...PLAIN, features: 'pool' })).rejects.toMatchObject({
    message: expect.stringMatching(/no output pool/),
    hint: expect.stringMatching(/means float32 \[n, 3, 1, 1\]/),
  });
  await expect(features(IMAGES, [2, 2, 3], { features: 'whole' })).rejects.toThrow(/not one row of features an image/);
  await expect(features(Array(16).fill(0), [2, 2, 4])).rejects.toThrow(/takes images of 3 channels, these have 4/);
});
