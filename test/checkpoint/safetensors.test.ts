import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeSafetensors, encodeSafetensors, toHostTensors } from '../../src/checkpoint/safetensors.ts';
import type { BlobContent } from '../../src/checkpoint/store.ts';
import type { HostTensors } from '../../src/engine/engine.ts';

/** A file from a header's text and data, as the format says: u64 length, header, data. */
function file(header: string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = Buffer.from(header, 'utf8');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

const whole = (content: BlobContent) => Buffer.concat([...content.chunks()]);
const decode = (bytes: Uint8Array) => decodeSafetensors([bytes], bytes.length, 'x.safetensors');
const damage = (message: RegExp) => ({ code: 'STATE_DAMAGED', message: expect.stringMatching(message) });

describe('the bytes written', () => {
  test('are those of the specification, checked by hand', () => {
    const content = encodeSafetensors({
      b: { dtype: 'float32', shape: [2], data: Float32Array.of(1, -2) },
      a: { dtype: 'int32', shape: [], data: Int32Array.of(7) },
    });
    const header =
      '{"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8, ' ');
    const data = Buffer.from('07000000' + '0000803f' + '000000c0', 'hex');
    expect(whole(content).toString('hex')).toBe(Buffer.from(file(padded, data)).toString('hex'));
    expect(content.bytes).toBe(8 + padded.length + 12);
  });

  test('do not depend on the order in which tensors were put in', () => {
    const a = { dtype: 'float32', shape: [1], data: Float32Array.of(1) } as const;
    const b = { dtype: 'float32', shape: [1], data: Float32Array.of(2) } as const;
    expect(whole(encodeSafetensors({ a, b }))).toEqual(whole(encodeSafetensors({ b, a })));
  });

  test('are views on the tensors: nothing is copied', () => {
    const data = Float32Array.of(1, 2, 3);
    const chunks = [...encodeSafetensors({ x: { dtype: 'float32', shape: [3], data } }).chunks()];
    expect(chunks.at(-1)!.buffer).toBe(data.buffer);
  });

  test.each([
    ['__metadata__', [1], /a name the format reserves/],
    ['x', [2], /of shape \[2\] holds 1 numbers/],
  ])('are refused for %s of shape %j', (name, shape, message) => {
    const tensors = { [name]: { dtype: 'float32', shape, data: Float32Array.of(1) } } as const;
    expect(() => encodeSafetensors(tensors)).toThrow(message);
  });
});

describe('what is written', () => {
  const tensor = fc.oneof(
    fc.float32Array({ maxLength: 40 }).map((data) => ({ dtype: 'float32', shape: [data.length], data }) as const),
    fc.int32Array({ maxLength: 40 }).map((data) => ({ dtype: 'int32', shape: [data.length, 1], data }) as const),
  );
  const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((n) => n !== '__metadata__');

  test('is read back bit for bit, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, tensor), fc.integer({ min: 1, max: 50 }), async (tensors, cut) => {
        const bytes = whole(encodeSafetensors(tensors as HostTensors, { made: 'here' }));
        const chunks = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, i) =>
          bytes.subarray(i * cut, (i + 1) * cut),
        );
        const read = await decodeSafetensors(chunks, bytes.length, 'x');
        expect(read.metadata).toEqual({ made: 'here' });
        const bits = (t: HostTensors) =>
          Object.entries(t)
            .map(([n, v]) => [
              n,
              v.dtype,
              [...v.shape],
              Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength).toString('hex'),
            ])
            .sort();
        expect(bits(toHostTensors(read, 'x'))).toEqual(bits(tensors as HostTensors));
      }),
    );
  });

  test('may be a tensor named like a property of every object', async () => {
    const tensors = Object.fromEntries(
      ['__proto__', 'constructor'].map((n) => [n, { dtype: 'float32', shape: [1], data: Float32Array.of(3) } as const]),
    );
    const read = toHostTensors(await decode(whole(encodeSafetensors(tensors))), 'x');
    expect(Object.keys(read).sort()).toEqual(['__proto__', 'constructor']);
  });
});

describe('other dtypes', () => {
  test('F16 and BF16 are widened exactly', async () => {
    // 1, -2, the least subnormal 2^-24, the greatest 65504, infinity, then the same in BF16: 1, -2, infinity
    const data = Buffer.from('003c' + '00c0' + '0100' + 'ff7b' + '007c' + '803f' + '00c0' + '807f', 'hex');
    const header =
      '{"h":{"dtype":"F16","shape":[5],"data_offsets":[0,10]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[10,16]}}';
    const { tensors } = await decode(file(header, data));
    expect([...tensors.get('h')!.data]).toEqual([1, -2, 2 ** -24, 65504, Infinity]);
    expect([...tensors.get('b')!.data]).toEqual([1, -2, Infinity]);
  });

  test('U8 and I64 are read, but are no state', async () => {
    const header =
      '{"u":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"i":{"dtype":"I64","shape":[1],"data_offsets":[2,10]}}';
    const read = await decode(file(header, Buffer.from('ff01' + 'feffffffffffffff', 'hex')));
    expect([...read.tensors.get('u')!.data]).toEqual([255, 1]);
    expect([...read.tensors.get('i')!.data]).toEqual([-2n]);
    expect(() => toHostTensors(read, 'x')).toThrow(/"u" has dtype U8/);
  });
});

describe('a file that is not sound is refused, by name', () => {
  const f32 = (shape: string, begin: number, end: number) =>
    `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;
  const eight = new Uint8Array(8);

  test.each<[string, Uint8Array, RegExp]>([
    ['a gap', file(`{"a":${f32('[1]', 4, 8)}}`, eight), /gap before tensor "a"/],
    ['an overlap', file(`{"a":${f32('[2]', 0, 8)},"b":${f32('[1]', 4, 8)}}`, eight), /"b" overlaps/],
    ['data left over', file(`{"a":${f32('[1]', 0, 4)}}`, eight), /need 4 bytes of data, it holds 8/],
    ['data missing', file(`{"a":${f32('[3]', 0, 12)}}`, eight), /need 12 bytes of data, it holds 8/],
    [
      'a shape of another size',
      file(`{"a":${f32('[3]', 0, 8)}}`, eight),
      /"a" spans 8 bytes, its shape \[3\] needs 12/,
    ],
    ['a negative dimension', file(`{"a":${f32('[-2]', 0, 8)}}`, eight), /"a" has no valid shape/],
    ['offsets in reverse', file(`{"a":${f32('[2]', 8, 0)}}`, eight), /"a" has no valid data_offsets/],
    ['an unknown dtype', file('{"a":{"dtype":"F8","shape":[8],"data_offsets":[0,8]}}', eight), /"a" has dtype "F8"/],
    [
      'a dtype out of Object',
      file('{"a":{"dtype":"toString","shape":[8],"data_offsets":[0,8]}}', eight),
      /dtype "toString"/,
    ],
    ['a name twice', file(`{"a":${f32('[1]', 0, 4)},"a":${f32('[1]', 4, 8)}}`, eight), /names "a" twice/],
    [
      'a name twice, once escaped',
      file(`{"a":${f32('[1]', 0, 4)},"\\u0061":${f32('[1]', 4, 8)}}`, eight),
      /names "a" twice/,
    ],
    [
      'a field twice',
      file('{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8]}}', eight),
      /"shape" twice/,
    ],
    ['metadata that is not text', file('{"__metadata__":{"a":1}}'), /__metadata__ is not/],
    ['a header that is not an object', file('[]'), /does not begin with "\{"/],
    ['a header with a byte order mark', file('\ufeff{}'), /does not begin with "\{"/],
    ['a header that is not JSON', file('{"a":'), /not valid JSON/],
    [
      'a header that is not UTF-8',
      Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{"\xff":1} ', 'latin1')]),
      /not valid JSON/,
    ],
    [
      'a header longer than the file',
      Buffer.from('ff00000000000000' + '7b7d', 'hex'),
      /claims 255 bytes in a file of 10/,
    ],
    ['a header over the limit', Buffer.from('ffffffffffffffff' + '7b7d', 'hex'), /over the format's limit/],
    ['fewer than eight bytes', Buffer.from('0200', 'hex'), /ends inside the length/],
  ])('%s', async (_what, bytes, message) => {
    await expect(decode(bytes)).rejects.toMatchObject(damage(message));
    await expect(decode(bytes)).rejects.toMatchObject(damage(/^x\.safetensors /));
  });

  test('a file cut at any byte', async () => {
    const bytes = whole(encodeSafetensors({ a: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } }));
    for (let cut = 0; cut < bytes.length; cut++)
      await expect(decode(bytes.subarray(0, cut))).rejects.toMatchObject({ code: 'STATE_DAMAGED' });
  });

  test('a file cut while it is read names the tensor', async () => {
    const bytes = whole(encodeSafetensors({ a: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } }));
    const cut = decodeSafetensors([bytes.subarray(0, -1)], bytes.length, 'x.safetensors');
    await expect(cut).rejects.toMatchObject(damage(/ends inside tensor "a"/));
  });

  test('bytes after the last tensor', async () => {
    const bytes = whole(encodeSafetensors({ a: { dtype: 'float32', shape: [1], data: Float32Array.of(1) } }));
    const longer = decodeSafetensors([bytes, Uint8Array.of(0)], bytes.length, 'x.safetensors');
    await expect(longer).rejects.toMatchObject(damage(/1 bytes follow/));
  });
});

test('the source is closed when reading fails', async () => {
  let closed = false;
  async function* source() {
    try {
      yield file('[]');
    } finally {
      closed = true;
    }
  }
  await expect(decodeSafetensors(source(), 10, 'x')).rejects.toThrow();
  expect(closed).toBe(true);
});

describe('what is read into memory of the caller', () => {
  const vector = Float32Array.of(1, 2, 3, 4);
  const bytes = whole(
    encodeSafetensors({
      a: { dtype: 'float32', shape: [3], data: vector.slice(0, 3) },
      b: { dtype: 'float32', shape: [1], data: vector.slice(3) },
    }),
  );
  const read = (into: HostTensors) => decodeSafetensors([bytes], bytes.length, 'x.safetensors', into);

  test('lies there, the tensors side by side', async () => {
    const flat = new Float32Array(4);
    const { tensors } = await read({
      a: { dtype: 'float32', shape: [3], data: flat.subarray(0, 3) },
      b: { dtype: 'float32', shape: [1], data: flat.subarray(3) },
    });
    expect(flat).toEqual(vector);
    expect(tensors.get('a')!.data.buffer).toBe(flat.buffer);
    expect(tensors.get('b')!.data.buffer).toBe(flat.buffer);
  });

  test('lies elsewhere where shape or dtype are others, and the caller’s memory stays as it was', async () => {
    const a = new Float32Array(3);
    const b = new Int32Array(1);
    const { tensors } = await read({
      a: { dtype: 'float32', shape: [1, 3], data: a },
      b: { dtype: 'int32', shape: [1], data: b },
    });
    expect(tensors.get('a')!.data).toEqual(vector.slice(0, 3));
    expect(tensors.get('b')!.data).toEqual(vector.slice(3));
    expect([...a, ...b]).toEqual([0, 0, 0, 0]);
  });
});
