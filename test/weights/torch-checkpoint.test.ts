import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWeights } from '../../src/weights/open-weights.ts';
import { readPickle } from '../../src/weights/pickle.ts';
import { openRandomAccess } from '../../src/weights/random-access.ts';
import { readTorchCheckpoint } from '../../src/weights/torch-checkpoint.ts';
import { torchCheckpoint } from '../../src/weights/torch-writer.ts';
import { readZipDirectory } from '../../src/weights/zip-directory.ts';
import { zipArchive } from '../../src/weights/zip-writer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-torch-'));
});
afterAll(() => rm(folder, { recursive: true }));
const fixture = (name: string) => join(import.meta.dirname, 'fixtures', name);

async function written(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

describe('tensors as torch.save writes them', () => {
  async function odd(name: string): Promise<number[]> {
    const file = await openWeights(fixture('odd.pt'));
    try {
      return [...(await file.model.get(name)!.read())];
    } finally {
      await file.close();
    }
  }
  const base = (i: number, j: number, k: number) => 12 * i + 4 * j + k;

  test('transposed, cut, strided and spread ones come row-major', async () => {
    const transposed = [0, 1, 2, 3].flatMap((k) => [0, 1].flatMap((i) => [0, 1, 2].map((j) => base(i, j, k))));
    expect(await odd('transposed')).toEqual(transposed);
    expect(await odd('part')).toEqual([5, 6, 7, 8]);
    expect(await odd('strided')).toEqual([1, 4, 7, 10, 13, 16, 19, 22]);
    expect(await odd('broadcast')).toEqual([7, 7, 7]);
    expect(await odd('scalar')).toEqual([2.5]);
    expect(await odd('empty')).toEqual([]);
    expect(await odd('parameter')).toEqual([1, 2]);
  });

  test('half precision is widened exactly', async () => {
    expect(await odd('half')).toEqual([0.0999755859375, -65504, 2 ** -24]);
    expect(await odd('bfloat16')).toEqual([0.10009765625, Math.fround(3.00405527047391e38)]);
  });

  test('what float32 cannot hold is refused when it is read, and not before', async () => {
    await expect(odd('double')).rejects.toMatchObject({ code: 'BAD_RECORD', message: /a weight is double/ });
    await expect(odd('long')).rejects.toMatchObject({ message: /a weight is long/ });
  });
});

describe('nothing of a file is run, and what is not a tensor is refused by its name', () => {
  test('a call of os.system', async () => {
    await expect(openWeights(fixture('evil.pt'))).rejects.toMatchObject({
      code: 'BAD_RECORD',
      message: expect.stringMatching(/evil\.pt: its pickle names posix\.system, which is not read/),
    });
    await expect(access('/tmp/repulsor-was-here')).rejects.toThrow();
  });

  test('a whole module', async () => {
    await expect(openWeights(fixture('module.pt'))).rejects.toMatchObject({
      message: expect.stringMatching(/names torch\.nn\.modules\.linear\.Linear/),
    });
  });

  test('the form before PyTorch 1.6, and files that are something else', async () => {
    await expect(openWeights(fixture('legacy.pt'))).rejects.toMatchObject({
      message: expect.stringMatching(/before 1\.6/),
    });
    const text = await written('text', Buffer.from('these are no weights'));
    await expect(openWeights(text)).rejects.toMatchObject({ message: expect.stringMatching(/neither a PyTorch/) });
    await expect(openWeights(await written('empty', Buffer.alloc(0)))).rejects.toMatchObject({ code: 'BAD_RECORD' });
    await expect(openWeights(join(folder, 'none'))).rejects.toMatchObject({ code: 'USAGE' });
    await expect(openWeights(folder)).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('a tensor that would reach beyond its storage, and a pickle that calls with nonsense', async () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const bytes = Buffer.concat([...torchCheckpoint({ a: { shape: [4], dtype: 'float32', data } }).chunks()]);
    // The one dimension of the shape, ten times as large: BININT 4 after the offset.
    const at = bytes.indexOf(Buffer.from('J\x00\x00\x00\x00(J\x04', 'latin1'));
    expect(at).toBeGreaterThan(0);
    bytes[at + 7] = 40;
    const file = await openWeights(await written('beyond.pt', bytes));
    await expect(file.model.get('a')!.read()).rejects.toMatchObject({
      message: expect.stringMatching(/goes beyond its storage/),
    });
    await file.close();
  });
});

describe('a pickle', () => {
  const world = {
    globals: new Map([['m f', (...args: readonly unknown[]) => args]]),
    persistent: (id: unknown) => ['kept', id],
  };
  const read = (codes: string) => readPickle(Buffer.from(codes, 'latin1'), world, 'it');

  test('makes numbers, text, lists, tuples, dicts, and remembers', () => {
    expect(read('\x80\x02K\x07.')).toBe(7);
    expect(read('M\x34\x12.')).toBe(0x1234);
    expect(read('J\xff\xff\xff\xff.')).toBe(-1);
    expect(read('\x8a\x00.')).toBe(0);
    expect(read('\x8a\x02\x00\xff.')).toBe(-256);
    expect(read('\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.')).toBe(2n ** 64n);
    expect(read('G\x3f\xf8\x00\x00\x00\x00\x00\x00.')).toBe(1.5);
    expect(read('X\x02\x00\x00\x00\xc3\xa9.')).toBe('é');
    expect(read('\x8c\x01a.')).toBe('a');
    expect(read('](K\x01N\x88\x89e.')).toEqual([1, null, true, false]);
    expect(read('K\x01K\x02\x86q\x00h\x00\x86.')).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(read('}\x8c\x01aK\x01s.')).toEqual(new Map([['a', 1]]));
    expect(read('}(\x8c\x01aK\x01\x8c\x01bK\x02u.')).toEqual(new Map(Object.entries({ a: 1, b: 2 })));
    expect(read('cm\nf\n(K\x01K\x02tR.')).toEqual([1, 2]);
    expect(read('\x8c\x01m\x8c\x01f\x93K\x05\x85R.')).toEqual([5]);
    expect(read('K\x03Q.')).toEqual(['kept', 3]);
  });

  test.each([
    ['an opcode that it does not read, by its number', 'I1\n.', /opcode 0x49 at byte 0/],
    ['INST, which calls by name', '(ios\nsystem\n.', /opcode 0x69/],
    ['EXT1, which calls by number', '\x82\x01.', /opcode 0x82/],
    ['a global by name', 'cbuiltins\neval\n.', /names builtins\.eval/],
    ['a global of the stack', '\x8c\x08builtins\x8c\x04eval\x93.', /names builtins\.eval/],
    ['a call of what is no function', 'K\x01)R.', /calls what is no function/],
    ['an attribute of a prototype', 'cm\n__proto__\n.', /names m\.__proto__/],
    ['an empty stack', '.', /empty stack/],
    ['no mark', 'K\x01t.', /no mark/],
    ['the end too early', 'X\xff\x00\x00\x00a', /ends too early/],
    ['memory of nothing', 'h\x07.', /never kept/],
    ['more than one value', 'K\x01K\x02.', /more than one value/],
    ['items of a list', ']K\x01K\x02s.', /no dict/],
    ['a newer protocol', '\x80\x09N.', /protocol 9/],
  ])('is refused for %s', (_what, codes, message) => {
    expect(() => read(codes)).toThrow(message);
  });
});

describe('a zip archive', () => {
  test('that we write is read by us, entry by entry, each at a multiple of 64 bytes', async () => {
    const entries = ['a/data.pkl', 'a/data/0', 'ä'].map((name, i) => ({ name, data: Uint8Array.of(i, i + 1) }));
    const content = zipArchive(entries);
    const bytes = Buffer.concat([...content.chunks()]);
    expect(bytes.length).toBe(content.bytes);
    const file = await openRandomAccess(await written('zip', bytes));
    const directory = await readZipDirectory(file);
    expect([...directory.keys()]).toEqual(entries.map(({ name }) => name));
    for (const { name, data } of entries) {
      const at = bytes.indexOf(Buffer.from(data));
      expect(at % 64, name).toBe(0);
    }
    await file.close();
  });

  test('with 65,535 entries or more has a large directory, and is read too', async () => {
    const entries = Array.from({ length: 65_540 }, (_, i) => ({ name: `${i}`, data: Uint8Array.of(i & 255) }));
    const content = zipArchive(entries);
    const bytes = Buffer.concat([...content.chunks()]);
    expect(bytes.length).toBe(content.bytes);
    const file = await openRandomAccess(await written('many', bytes));
    expect((await readZipDirectory(file)).size).toBe(65_540);
    await file.close();
  });

  test.each([
    ['cut off', (b: Buffer) => b.subarray(0, b.length - 30)],
    [
      'with a directory that is none',
      (b: Buffer) => Buffer.from(b).fill(0, b.indexOf('PK\x01\x02'), b.indexOf('PK\x01\x02') + 4),
    ],
  ])('%s is damaged', async (name, break_) => {
    const whole = await readFile(fixture('plain.pt'));
    await expect(openWeights(await written(name, break_(whole)))).rejects.toMatchObject({
      code: 'BAD_RECORD',
      message: expect.stringMatching(/zip archive is damaged/),
    });
  });

  test('that is no checkpoint says so', async () => {
    const bytes = Buffer.concat([...zipArchive([{ name: 'readme', data: new Uint8Array(3) }]).chunks()]);
    const file = await openRandomAccess(await written('other.zip', bytes));
    await expect(readTorchCheckpoint(file)).rejects.toMatchObject({ message: expect.stringMatching(/no data\.pkl/) });
    await file.close();
  });
});
