import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BadRecord } from '../../src/codec/bad-record.ts';
import { fingerprint } from '../../src/codec/fingerprint.ts';
import { type DeadLetter, RECORD_KINDS, type RecordKind } from '../../src/codec/records.ts';
import { addWriterSchema, readSchema, schemaFingerprints } from '../../src/codec/schemas.ts';
import { decode, encode } from '../../src/codec/single-object.ts';
import { RepulsorError } from '../../src/errors.ts';
import { arbitraryRecords } from './arbitrary-records.ts';

/** Buffers as the plain Uint8Arrays they are, class instances as plain objects. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

const letter: DeadLetter = {
  topic: 'images',
  partition: 3,
  offset: 41,
  index: 2,
  reason: 'shape',
  message: 'why',
  time: 1_700_000_000_000,
  value: Uint8Array.of(1, 2, 3),
};

function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof BadRecord) return error.reason;
    throw error;
  }
  return 'none';
}

/** Single-object encoding made without our codec. */
function encodeAs(schema: avro.Schema, value: unknown): Uint8Array {
  const header = Buffer.alloc(10);
  header.writeUInt16BE(0xc301);
  header.writeBigUInt64LE(fingerprint(schema), 2);
  return Buffer.concat([header, avro.Type.forSchema(schema).toBuffer(value)]);
}

describe.each(RECORD_KINDS)('%s', (kind: RecordKind) => {
  const records = arbitraryRecords[kind] as fc.Arbitrary<never>;

  test('comes back as it went in', () => {
    fc.assert(
      fc.property(records, (record) => {
        expect(plain(decode(kind, encode(kind, record)))).toEqual(record);
      }),
    );
  });

  test('cut short, lengthened or with flipped bits it is a BAD_RECORD or another record, never anything else', () => {
    const damage = fc.record({
      cut: fc.nat(),
      flips: fc.array(fc.nat(), { maxLength: 6 }),
      more: fc.uint8Array({ maxLength: 3 }),
    });
    fc.assert(
      fc.property(records, damage, (record, { cut, flips, more }) => {
        const whole = encode(kind, record);
        const bytes = Uint8Array.from([...whole.subarray(0, cut % (whole.length + 1)), ...more]);
        for (const flip of flips) if (bytes.length > 0) bytes[(flip >> 3) % bytes.length]! ^= 1 << (flip & 7);
        reasonOf(() => decode(kind, bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('random bytes under a good header are a BAD_RECORD or a record', () => {
    const header = fc.sample(records, 1).map((record) => encode(kind, record).subarray(0, 10))[0]!;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        reasonOf(() => decode(kind, Uint8Array.from([...header, ...bytes])));
      }),
      { numRuns: 500 },
    );
  });
});

describe('single-object encoding', () => {
  test('starts with C3 01 and the fingerprint, little-endian; the rest is what avsc writes', () => {
    const bytes = encode('dead-letter', letter);
    const schema = readSchema('dead-letter') as avro.Schema;
    expect(Buffer.from(bytes).toString('hex')).toBe(
      Buffer.from(encodeAs(schema, { ...letter, value: Buffer.from(letter.value!) })).toString('hex'),
    );
    expect(Buffer.from(bytes.subarray(2, 10)).reverse().toString('hex')).toBe(schemaFingerprints()['dead-letter']);
  });

  test('a decoded record shares no memory with the bytes it came from', () => {
    const bytes = encode('dead-letter', letter);
    const record = decode('dead-letter', bytes);
    bytes.fill(0);
    expect(Uint8Array.from(record.value!)).toEqual(letter.value);
  });

  test('an unknown fingerprint is named, with what to do', () => {
    const bytes = encode('dead-letter', letter);
    bytes.fill(0xab, 2, 10);
    expect(reasonOf(() => decode('dead-letter', bytes))).toBe('unknown_schema');
    expect(() => decode('dead-letter', bytes)).toThrow(/abababababababab/);
  });

  test('a record of another kind is not taken for this one', () => {
    expect(reasonOf(() => decode('commit', encode('dead-letter', letter)))).toBe('unknown_schema');
  });

  test.each([[2 ** 53], [0.5], [Number.NaN], [10n]])('%s as a long is refused, and the field is named', (offset) => {
    const work = () => encode('dead-letter', { ...letter, offset: offset as number });
    expect(work).toThrow(RepulsorError);
    expect(work).toThrow(/offset/);
  });

  test.each([[2 ** 53 - 1], [-(2 ** 53 - 1)], [-(2 ** 52) - 5], [2 ** 52 + 5]])('the long %i is exact', (offset) => {
    expect(decode('dead-letter', encode('dead-letter', { ...letter, offset })).offset).toBe(offset);
  });

  test('a long beyond 2^53 - 1 that another program wrote is a BAD_RECORD, not a rounded number', () => {
    const bytes = encode('negatives', { step: 2 ** 53 - 1, rows: 0, dim: 0, keys: Uint8Array.of(), labels: [] });
    expect(Buffer.from(bytes.subarray(10)).toString('hex')).toBe('feffffffffffff1f00000000');
    bytes[10] = 0xff; // -2^53
    expect(reasonOf(() => decode('negatives', bytes))).toBe('undecodable');
    expect(() => decode('negatives', bytes)).toThrow(/2\^53/);
  });

  test('an array that claims 2^40 items is refused at once', () => {
    const header = encode('image-batch', {
      shape: [],
      encoding: 'PNG',
      images: [],
      labels: null,
      eventTime: 0,
      source: '',
      encoder: null,
    }).subarray(0, 10);
    const claim = Uint8Array.from([...header, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0x02]);
    const started = performance.now();
    expect(reasonOf(() => decode('image-batch', claim))).toBe('undecodable');
    expect(performance.now() - started).toBeLessThan(100);
  });
});

describe('evolved schemas', () => {
  const current = readSchema('dead-letter') as { name: string; namespace: string; fields: { name: string }[] };
  const without = (...names: string[]) => current.fields.filter((field) => !names.includes(field.name));

  test('an older writer: fields with a default that it did not know come back as their default', () => {
    const older = { ...current, type: 'record', fields: without('index', 'value') } as avro.Schema;
    addWriterSchema('dead-letter', older);
    const { index, value, ...known } = letter;
    expect(plain(decode('dead-letter', encodeAs(older, known)))).toEqual({ ...known, index: null, value: null });
    expect([index, value]).not.toContain(null);
  });

  test('a newer writer: fields that we do not know are skipped, int is widened to long', () => {
    const newer = {
      ...current,
      type: 'record',
      fields: [
        { name: 'extra', type: { type: 'map', values: 'bytes' } },
        ...current.fields.map((field) => (field.name === 'offset' ? { name: 'offset', type: 'int' } : field)),
      ],
    } as avro.Schema;
    addWriterSchema('dead-letter', newer);
    const written = { ...letter, value: Buffer.from(letter.value!), extra: { a: Buffer.of(1) } };
    expect(plain(decode('dead-letter', encodeAs(newer, written)))).toEqual(letter);
  });

  test('a writer without a field that has no default does not resolve, and that is said', () => {
    const { reason: _, ...rest } = letter;
    const older = { ...current, type: 'record', fields: without('reason') } as avro.Schema;
    addWriterSchema('dead-letter', older);
    const bytes = encodeAs(older, { ...rest, value: null });
    expect(reasonOf(() => decode('dead-letter', bytes))).toBe('incompatible_schema');
    expect(() => decode('dead-letter', bytes)).toThrow(/reason/);
  });

  test('what is not a schema cannot be added', () => {
    expect(() => addWriterSchema('commit', { type: 'record', name: 'X' })).toThrow(RepulsorError);
  });
});
