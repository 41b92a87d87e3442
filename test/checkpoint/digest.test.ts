import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { batchDigest, keysDigest, stepDigest, ZERO_DIGEST } from '../../src/checkpoint/digest.ts';
import { journalBreak, journalEntry, samplesOf } from '../../src/checkpoint/journal.ts';
import { compileSchema } from '../../src/codec/record-type.ts';
import { decode, encode } from '../../src/codec/single-object.ts';

const SCHEMAS = new URL('../../schemas/', import.meta.url);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const outcome = {
  step: 7,
  samples: [
    { topic: 'digits', partition: 2, offset: 2 ** 33 + 5, index: 1 },
    { topic: 'ü', partition: 0, offset: 0, index: 0 },
  ],
  terms: { total: 1.5, flow: 0.1 },
  keysDigest: keysDigest(Float32Array.of(1, 2)),
  batchDigest: null,
  archived: [],
};

test('a step digest is over the bytes that its grammar says, written out by hand', () => {
  const bytes = Buffer.concat([
    Buffer.from('repulsor step 1\0', 'latin1'),
    Buffer.alloc(32, 0xab), // previous
    Buffer.from('0700000000000000', 'hex'), // step
    Buffer.from('02000000', 'hex'), // two samples
    Buffer.from('06000000', 'hex'),
    Buffer.from('digits'),
    Buffer.from('02000000' + '0500000002000000' + '01000000', 'hex'),
    Buffer.from('02000000' + 'c3bc' + '00000000' + '0000000000000000' + '00000000', 'hex'),
    Buffer.from('02000000', 'hex'), // two terms, by name
    Buffer.from('04000000', 'hex'),
    Buffer.from('flow'),
    Buffer.from('cdcccc3d', 'hex'), // 0.1 as float32
    Buffer.from('05000000', 'hex'),
    Buffer.from('total'),
    Buffer.from('0000c03f', 'hex'),
    createHash('sha256')
      .update(Buffer.from('0000803f' + '00000040', 'hex'))
      .digest(),
  ]);
  const previous = Buffer.alloc(32, 0xab);
  expect(hex(stepDigest(previous, outcome))).toBe(sha256(bytes));
  const batch = Buffer.alloc(32, 0xcd);
  const second = Buffer.concat([Buffer.from('repulsor step 2\0', 'latin1'), bytes.subarray(16), batch]);
  expect(hex(stepDigest(previous, { ...outcome, batchDigest: batch }))).toBe(sha256(second));
  const again = Buffer.from('01000000' + '01000000', 'hex'); // one from the archive: the second
  const third = Buffer.concat([Buffer.from('repulsor step 3\0', 'latin1'), bytes.subarray(16), batch, again]);
  expect(hex(stepDigest(previous, { ...outcome, batchDigest: batch, archived: [1] }))).toBe(sha256(third));
});

test('a batch digest is over the bytes that its grammar says, written out by hand', () => {
  const bytes = Buffer.concat([
    Buffer.from('repulsor batch 1\0', 'latin1'),
    Buffer.from('02000000', 'hex'), // two samples
    Buffer.from('0000803f' + '000080bf', 'hex'), // of one pixel each
    Buffer.from('03000000' + '0a000000', 'hex'),
  ]);
  expect(hex(batchDigest({ images: Float32Array.of(1, -1), labels: Int32Array.of(3, 10) }))).toBe(sha256(bytes));
  const pixels = Buffer.concat([
    Buffer.from('repulsor batch 2\0', 'ascii'),
    Buffer.from('02000000' + 'ff01' + '03000000' + '0a000000', 'hex'),
  ]);
  expect(hex(batchDigest({ images: Uint8Array.of(255, 1), labels: Int32Array.of(3, 10) }))).toBe(sha256(pixels));
});

test('an entry from before there were batch digests is read, and its chain holds on into entries that have one', () => {
  const old = journalEntry(ZERO_DIGEST, { ...outcome, step: 1 });
  const past = compileSchema(JSON.parse(readFileSync(new URL('past/step-journal.1.avsc', SCHEMAS), 'utf8')));
  const { batchDigest: _none, archived: _nor, ...fields } = old;
  const header = Buffer.alloc(10);
  header.writeUInt16BE(0xc301);
  header.writeBigUInt64LE(past.fingerprint, 2);
  const read = decode('step-journal', Buffer.concat([header, past.write(fields)]));
  expect(read).toEqual({ ...old, terms: { total: 1.5, flow: Math.fround(0.1) } });
  const next = journalEntry(read.digest, { ...outcome, step: 2, batchDigest: Buffer.alloc(32, 1) });
  expect(journalBreak(0, ZERO_DIGEST, [read, next])).toBeNull();
  expect(journalBreak(0, ZERO_DIGEST, [read, { ...next, batchDigest: null }])).toMatch(/^step 2 does not/);
});

test('a chain of entries holds after a round trip through their bytes', () => {
  const first = journalEntry(ZERO_DIGEST, { ...outcome, step: 1 });
  const second = journalEntry(first.digest, { ...outcome, step: 2, samples: [] });
  const read = [first, second].map((entry) => decode('step-journal', encode('step-journal', entry)));
  expect(journalBreak(0, ZERO_DIGEST, read)).toBeNull();
  expect(samplesOf(read[0]!)).toEqual(outcome.samples);
});

test('any change to an entry, and any entry missing, breaks the chain where it happened', () => {
  const first = journalEntry(ZERO_DIGEST, { ...outcome, step: 1 });
  const second = journalEntry(first.digest, { ...outcome, step: 2 });
  const changes = [
    { ...first, terms: { ...first.terms, total: 1.5000001 } },
    { ...first, terms: { total: 1.5 } },
    { ...first, samples: first.samples.slice(1) },
    { ...first, samples: first.samples.map((s) => ({ ...s, index: s.index + 1 })) },
    { ...first, topics: ['other', 'ü'] },
    { ...first, keysDigest: ZERO_DIGEST },
    { ...first, batchDigest: ZERO_DIGEST },
    { ...first, archived: [0] },
    { ...first, digest: second.digest },
  ];
  for (const changed of changes) expect(journalBreak(0, ZERO_DIGEST, [changed, second])).toMatch(/^step 1 does not/);
  expect(journalBreak(0, ZERO_DIGEST, [second])).toBe('step 2 stands where step 1 belongs');
  expect(journalBreak(1, ZERO_DIGEST, [second])).toMatch(/^step 2 does not/);
});
