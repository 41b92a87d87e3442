import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compileSchema } from '../../src/codec/record-type.ts';
import { currentSchema } from '../../src/codec/schemas.ts';
import { decode } from '../../src/codec/single-object.ts';

/** A record as an earlier version wrote it: single-object encoding under the schema kept in schemas/past. */
function writtenThen(file: string, value: unknown): Uint8Array {
  const past = new URL(`../../schemas/past/${file}`, import.meta.url);
  const schema = compileSchema(JSON.parse(readFileSync(past, 'utf8')));
  const header = Buffer.alloc(10);
  header.set([0xc3, 0x01]);
  header.writeBigUInt64LE(schema.fingerprint, 2);
  return Buffer.concat([header, schema.write(value)]);
}

test('a commit of version 0.1 is read: its position names one topic, and no record seen', () => {
  const digest = new Uint8Array(32);
  const position = {
    epoch: 1,
    samples: 9,
    windows: 2,
    next: [{ topic: 'images', partition: 0, offset: 5 }],
    turn: 0,
    bounds: [{ topic: 'images', partition: 0, begin: 0, end: 7 }],
    window: { consumed: 1, records: [{ topic: 'images', partition: 0, offsets: [3, 4] }] },
  };
  const commit = {
    formatVersion: 1,
    run: 'run',
    step: 3,
    generation: 1,
    epoch: 1,
    time: 0,
    blobs: [],
    position,
    negatives: { begin: 0, end: 0, capacity: 0, dim: 0, count: 0, digest },
    journalBegin: 0,
    journalEnd: 3,
    journalDigest: digest,
    previous: digest,
    seed: 0,
    configDigest: '',
    schemaDigest: '',
    engine: '',
    config: '{}',
  };
  const read = decode('commit', writtenThen('commit.1.avsc', commit));
  expect(structuredClone(read.position)).toEqual({ ...position, seen: [], encoder: null, archive: null });
  expect(read).toMatchObject({ run: 'run', step: 3, journalEnd: 3 });
});

test('images of version 0.1 are read: they name no encoder', () => {
  const batch = {
    shape: [1, 1, 2],
    encoding: 'LATENT_F32',
    images: [Buffer.from(Float32Array.of(1, 2).buffer)],
    labels: [3],
    eventTime: 5,
    source: 'then',
  };
  const read = decode('image-batch', writtenThen('image-batch.1.avsc', batch));
  expect({ ...read }).toEqual({ ...batch, encoder: null });
});

test('a reader that knows only the schema of version 0.1 refuses latents of today by name', () => {
  const past = new URL('../../schemas/past/image-batch.1.avsc', import.meta.url);
  const then = compileSchema(JSON.parse(readFileSync(past, 'utf8')));
  const now = currentSchema('image-batch');
  const batch = {
    shape: [1, 1, 1],
    encoding: 'LATENT_MOMENTS_F32',
    images: [new Uint8Array(8)],
    labels: null,
    eventTime: 0,
    source: '',
    encoder: null,
  };
  // Under its fingerprint it is unknown to that version; where a registry gives the schema, the encoding is.
  expect(now.fingerprint).not.toBe(then.fingerprint);
  expect(() => then.read(now.write(batch), now)).toThrow(/does not read as repulsor.ImageBatch/);
});

test('a journal entry and a position from before there was a mix are read: nothing in them came from the archive', () => {
  const digest = new Uint8Array(32);
  const entry = { step: 1, topics: [], samples: [], terms: {}, keysDigest: digest, digest, batchDigest: digest };
  const read = decode('step-journal', writtenThen('step-journal.2.avsc', entry));
  expect(read).toMatchObject({ step: 1, archived: [] });
  expect(
    compileSchema(JSON.parse(readFileSync(new URL('../../schemas/past/commit.2.avsc', import.meta.url), 'utf8')))
      .fingerprint,
  ).not.toBe(currentSchema('commit').fingerprint);
});
