import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeOnnx, type OnnxGraph } from '../../scripts/onnx/onnx-writer.ts';
import { encodeMessage } from '../../src/codec/protobuf.ts';
import { onnxDigest } from '../../src/onnx/onnx-digest.ts';
import { describePort, openOnnxModel } from '../../src/onnx/onnx-model.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A 2 x 2 convolution of stride 2 with bias, then a flattening to (n, 3). */
const WEIGHTS = Float32Array.of(1, 2, 3, 4, -1, 0, 0, 1, 0.5, 0.5, 0.5, 0.5);
const BIAS = Float32Array.of(0, 10, -1);
const GRAPH: OnnxGraph = {
  name: 'convolution',
  inputs: [{ name: 'x', shape: ['n', 1, 2, 2] }],
  outputs: [{ name: 'y', shape: ['n', 3] }],
  constants: {
    w: { shape: [3, 1, 2, 2], data: WEIGHTS },
    b: { shape: [3], data: BIAS },
    flat: { shape: [2], data: BigInt64Array.of(-1n, 3n) },
  },
  nodes: [
    { op: 'Conv', inputs: ['x', 'w', 'b'], outputs: ['c'], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { op: 'Reshape', inputs: ['c', 'flat'], outputs: ['y'] },
  ],
};

async function written(name: string, graph: OnnxGraph = GRAPH): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, encodeOnnx(graph));
  return file;
}

test('a written model computes what its formula says, for any batch', async () => {
  const model = await openOnnxModel(await written('model.onnx'));
  try {
    expect(model.inputs.map(describePort)).toEqual(['x float32 [n, 1, 2, 2]']);
    expect(model.outputs.map(describePort)).toEqual(['y float32 [n, 3]']);
    for (const n of [1, 5]) {
      const data = Float32Array.from({ length: 4 * n }, (_, i) => Math.sin(i));
      const { y } = await model.run({ x: { shape: [n, 1, 2, 2], data } });
      expect(y!.shape).toEqual([n, 3]);
      for (let image = 0; image < n; image++)
        for (let k = 0; k < 3; k++) {
          let sum = BIAS[k]!;
          for (let i = 0; i < 4; i++) sum += WEIGHTS[4 * k + i]! * data[4 * image + i]!;
          expect(y!.data[3 * image + k]).toBeCloseTo(sum, 5);
        }
    }
  } finally {
    await model.close();
  }
});

test('an input that does not fit is named, with the file', async () => {
  const model = await openOnnxModel(await written('misfit.onnx'));
  try {
    const wrong = model.run({ x: { shape: [1, 2, 2, 2], data: new Float32Array(8) } });
    await expect(wrong).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/misfit\.onnx.*x/s),
    });
  } finally {
    await model.close();
  }
});

test('a file that is no model is refused by its name', async () => {
  const file = join(folder, 'text.onnx');
  await writeFile(file, 'no model');
  for (const name of [file, join(folder, 'missing.onnx')])
    await expect(openOnnxModel(name)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining(name) });
});

test("a model's digest is its file's, as sha256sum gives it", async () => {
  const file = await written('digest.onnx');
  const [expected] = execFileSync('sha256sum', [file]).toString().split(' ');
  expect(await onnxDigest(file)).toBe(expected);
});

test('weights that lie beside the file, in a nested graph too, are part of the digest', async () => {
  const pair = (key: string, value: string) =>
    encodeMessage([
      [1, Buffer.from(key)],
      [2, Buffer.from(value)],
    ]);
  const entry = (key: string, value: string) => encodeMessage([[13, pair(key, value)]]);
  const nested = encodeMessage([[5, entry('location', 'b.data')]]);
  const node = encodeMessage([[5, encodeMessage([[6, nested]])]]);
  const graph = encodeMessage([
    [1, node],
    [5, entry('location', 'a.data')],
    [5, entry('offset', 'no-file')],
  ]);
  const file = join(folder, 'outside.onnx');
  const model = encodeMessage([[7, graph]]);
  await writeFile(file, model);
  const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest('hex');
  for (const [a, b] of [
    ['1', '2'],
    ['1', '3'],
  ] as const) {
    await writeFile(join(folder, 'a.data'), a);
    await writeFile(join(folder, 'b.data'), b);
    expect(await onnxDigest(file)).toBe(sha256(model, Buffer.from(a), Buffer.from(b)));
  }
});
