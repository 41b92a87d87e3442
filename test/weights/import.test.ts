import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeSafetensors, type SafetensorsFile } from '../../src/checkpoint/safetensors.ts';
import type { StateBlobs } from '../../src/checkpoint/state-blobs.ts';
import type { Engine, HostTensor } from '../../src/engine/engine.ts';
import { createSiT } from '../../src/model/create-sit.ts';
import { positions2d } from '../../src/model/embeddings.ts';
import { parameterLayout, unpack } from '../../src/model/parameters.ts';
import { type SiTSettings, sit, sitSpecs } from '../../src/model/sit.ts';
import { sample } from '../../src/sampling/sampler.ts';
import { definePipeline } from '../../src/trainer/pipeline.ts';
import { flatten } from '../../src/trainer/state-blobs.ts';
import { encodeWeights, exportWeights, officialState } from '../../src/weights/export-weights.ts';
import { importWeights, readWeights } from '../../src/weights/import-weights.ts';
import { modelOf, POSITIONS } from '../../src/weights/official-names.ts';
import { openWeights } from '../../src/weights/open-weights.ts';
import { weightsBlobs } from '../../src/weights/weights-blobs.ts';
import { OPEN } from '../engine/engines.ts';

/** Of make_fixtures.py, which wrote the files by real PyTorch and computed with a SiT of its own. */
const MODEL: SiTSettings = {
  ...{ input: [8, 8, 4], patch: 2, width: 8, depth: 2, heads: 2, mlpRatio: 4, classes: 5, timeScale: 1 },
  learnSigma: true,
};
const layout = parameterLayout(sitSpecs(MODEL));
export const fixture = (name: string) => join(import.meta.dirname, 'fixtures', name);

async function safetensors(name: string): Promise<SafetensorsFile> {
  const path = fixture(name);
  return decodeSafetensors([await readFile(path)], (await stat(path)).size, path);
}

async function imported(name: string): Promise<StateBlobs> {
  const file = await openWeights(fixture(name));
  try {
    return weightsBlobs(await readWeights(file, MODEL));
  } finally {
    await file.close();
  }
}

const flat = (blobs: StateBlobs, which: string): HostTensor => flatten(blobs[which]!, '', layout, which);

/** (n, C, H, W) -> (n, H, W, C) and back, of 4 channels and 8 x 8. */
const channelsLast = (x: ArrayLike<number>) =>
  Float32Array.from({ length: x.length }, (_, i) => x[(i >> 8) * 256 + (i % 4) * 64 + ((i >> 2) % 64)]!);
const farthest = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((worst, v, i) => Math.max(worst, Math.abs(v - b[i]!)), 0);
};

describe.each(['native', 'cpu'] as const)('on the %s engine', (name) => {
  let engine: Engine;
  let numbers: (tensor: string) => Float32Array;
  beforeAll(async () => {
    engine = await OPEN[name]();
    const { tensors } = await safetensors('forward.safetensors');
    numbers = (tensor) => tensors.get(tensor)!.data as Float32Array;
  });
  afterAll(() => engine.dispose());

  test('a forward pass of imported weights is PyTorch’s, to 1e-5', async () => {
    const program = await engine.compile({
      name: 'forward',
      seed: 0,
      state: { parameters: flat(await imported('plain.pt'), 'model') },
      inputs: {
        x: { shape: [3, 8, 8, 4], dtype: 'float32' },
        t: { shape: [3], dtype: 'float32' },
        labels: { shape: [3], dtype: 'int32' },
      },
      fn: (state, { x, t, labels }) => ({
        outputs: {
          output: sit(
            unpack(state['parameters'] as Tensor1D, layout),
            MODEL,
            { x: x!, t: t as Tensor1D, labels: labels as Tensor1D },
            [],
          ).output,
        },
      }),
    });
    const x = channelsLast(numbers('x'));
    const out = await program.run({ x, t: numbers('t'), labels: Int32Array.from(numbers('y')) }, 0);
    const expected = channelsLast(numbers('output'));
    program.dispose();
    const size = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
    expect(farthest(out['output']!.data, expected) / size).toBeLessThan(1e-5);
  });

  test.each([
    ['all_channels', null],
    ['three_channels', 3],
  ] as const)('guided samples of Heun are PyTorch’s (%s)', async (tensor, guidedChannels) => {
    const { sampling, transport } = definePipeline({ name: 'none', source: { topic: 'none' }, model: MODEL });
    const { images } = await sample(engine, {
      ...{ model: MODEL, transport, layout, labels: [...numbers('labels')], seed: 0 },
      parameters: flat(await imported('plain.pt'), 'ema'),
      sampling: { ...sampling, solver: 'heun', steps: 5, guidance: 1.5, guidedChannels },
      noise: channelsLast(numbers('noise')),
    });
    const expected = channelsLast(numbers(tensor));
    const size = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
    expect(farthest(images, expected) / size).toBeLessThan(1e-4);
  });
});

const bits = (tensor: { data: ArrayBufferView }) =>
  Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength).toString('hex');

describe('the same weights come', () => {
  test('of a PyTorch checkpoint and of safetensors, once for both sets', async () => {
    const [torch, plain] = [await imported('plain.pt'), await imported('plain.safetensors')];
    expect(torch).toEqual(plain);
    expect(torch['model']).toEqual(torch['ema']);
    expect(Object.keys(torch)).toEqual(['model', 'ema']);
  });

  test('of model and ema inside, as the official train.py saves them, whatever else lies there', async () => {
    const both = await imported('train.pt');
    expect(both['ema']).toEqual((await imported('ema.safetensors'))['ema']);
    expect(both['model']).toEqual((await imported('trained.safetensors'))['model']);
    expect(both['model']).not.toEqual(both['ema']);
  });

  test.each(['plain.safetensors', 'plain.pt'])(
    'out again as they went in, name by name and bit by bit: %s',
    async (name) => {
      const official = (await safetensors('plain.safetensors')).tensors;
      const blobs = await imported(name);
      const table = (blobs['positions']?.[POSITIONS]?.data ?? null) as Float32Array | null;
      for (const format of ['safetensors', 'pt-names'] as const) {
        const content = encodeWeights({ ema: officialState(blobs['ema']!, MODEL, table) }, format, {});
        const chunks = [...content.chunks()];
        expect(chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(content.bytes);
        const read = await readBack(Buffer.concat(chunks), format);
        expect([...read.keys()].sort()).toEqual([...official.keys()].sort());
        for (const [tensor, { shape, data }] of official) {
          expect(read.get(tensor)!.shape, tensor).toEqual(shape);
          expect(bits(read.get(tensor)!), tensor).toBe(bits({ data }));
        }
      }
    },
  );
});

describe('the package’s own way in and out', () => {
  const known = { patch: 2, width: 8, depth: 2, heads: 2 };
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repulsor-weights-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(['safetensors', 'pt-names'] as const)(
    'gives both sets and the positions back bit for bit: %s',
    async (format) => {
      const read = await importWeights(fixture('train.pt'), known);
      expect(read.model).toEqual(MODEL);
      // Positions whose last bits are the file's own.
      const positions = (read.positions ?? positions2d(4, 4, 8)).slice();
      positions[3] = Math.fround(positions[3]! * (1 + 2 ** -23));
      const path = join(folder, format);
      await exportWeights(path, { ...read, positions }, { format });
      const back = await importWeights(path, known);
      expect(bits({ data: back.parameters })).toBe(bits({ data: read.parameters }));
      expect(bits({ data: back.ema })).toBe(bits({ data: read.ema }));
      expect(back.ema).not.toEqual(back.parameters);
      expect(bits({ data: back.positions! })).toBe(bits({ data: positions }));
    },
  );

  test('writes one set where there is one', async () => {
    const sit = createSiT({ ...known, input: [8, 8, 1], classes: 3 }, 0);
    await exportWeights(join(folder, 'one'), sit);
    const back = await importWeights(join(folder, 'one'), known);
    expect(back.ema).toBe(back.parameters);
    expect(back).toMatchObject({ model: sit.model, parameters: sit.parameters, positions: null });
  });

  test('holds a file to what is known, and parameters to their settings', async () => {
    await expect(importWeights(fixture('plain.pt'), { ...known, classes: 7 })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
    });
    const short = { model: MODEL, parameters: new Float32Array(3) };
    await expect(exportWeights(join(folder, 'short'), short)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

test('a file says its image size, channels, classes and learnt sigma', async () => {
  const file = await openWeights(fixture('plain.pt'));
  expect(modelOf(file.model, 2)).toEqual({ input: [8, 8, 4], classes: 5, learnSigma: true });
  expect(modelOf(new Map(), 2)).toBe(null);
  await file.close();
});

describe('every tensor that does not fit is named', () => {
  test('missing, too much, and of another shape, all in one message', async () => {
    const file = await openWeights(fixture('plain.pt'));
    const model = new Map(file.model);
    model.delete('blocks.1.mlp.fc2.bias');
    model.set('head.weight', { ...model.get(POSITIONS)!, shape: [3] });
    model.set('blocks.0.attn.qkv.weight', { ...model.get('blocks.0.attn.qkv.weight')!, shape: [8, 24] });
    await expect(readWeights({ ...file, model, ema: model }, { ...MODEL, classes: 6 })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      message: [
        `${fixture('plain.pt')} does not fit the model:`,
        'y_embedder.embedding_table.weight is (6, 8), the model has (7, 8)',
        'blocks.0.attn.qkv.weight is (8, 24), the model has (24, 8): it is transposed',
        'blocks.1.mlp.fc2.bias is missing',
        'head.weight is not part of the model',
      ].join('\n  '),
    });
    await file.close();
  });

  test('and so are positions that are not the fixed ones', async () => {
    const file = await openWeights(fixture('plain.pt'));
    const table = await file.model.get(POSITIONS)!.read();
    const with_ = (change: (v: number, i: number) => number) => {
      const model = new Map(file.model);
      model.set(POSITIONS, { ...model.get(POSITIONS)!, read: async () => table.map(change) });
      return { ...file, model, ema: model };
    };
    await expect(
      readWeights(
        with_((v, i) => v + (i === 17 ? 0.01 : 0)),
        MODEL,
      ),
    ).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      message: expect.stringMatching(/pos_embed is 0\.00\d+ away/),
    });
    // Other last bits are kept, to be given back.
    const near = await readWeights(
      with_((v, i) => (i === 3 ? Math.fround(v * (1 + 2 ** -23)) : v)),
      MODEL,
    );
    expect(near.positions![3]).not.toBe(table[3]);
    await file.close();
  });
});

async function readBack(bytes: Buffer, format: 'safetensors' | 'pt-names') {
  const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
  const folder = await mkdtemp(join((await import('node:os')).tmpdir(), 'repulsor-weights-'));
  try {
    const path = join(folder, format);
    await writeFile(path, bytes);
    const file = await openWeights(path);
    const found = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const [name, tensor] of file.model) found.set(name, { shape: tensor.shape, data: await tensor.read() });
    await file.close();
    return found;
  } finally {
    await rm(folder, { recursive: true });
  }
}
