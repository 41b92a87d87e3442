import fc from 'fast-check';
import type { RecordKind, Records } from '../../src/codec/records.ts';

const bytes = fc.uint8Array({ maxLength: 64 });
const sha256 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const long = fc.maxSafeInteger();
const int = fc.integer();
const text = fc.string({ unit: 'binary', maxLength: 12 });
const some = <T>(value: fc.Arbitrary<T>) => fc.array(value, { maxLength: 4 });

const bounds = some(fc.record({ topic: text, partition: int, begin: long, end: long }));
const position = fc.record({
  epoch: long,
  samples: long,
  windows: long,
  next: some(fc.record({ topic: text, partition: int, offset: long })),
  turn: int,
  seen: some(fc.record({ topic: text, partition: int, offset: long, checksum: long })),
  bounds: fc.option(bounds),
  encoder: fc.option(fc.record({ sha256: fc.option(text), decoder: fc.option(text) })),
  window: fc.option(
    fc.record({ consumed: int, records: some(fc.record({ topic: text, partition: int, offsets: some(long) })) }),
  ),
  archive: fc.option(
    fc.record({ windows: long, open: fc.option(fc.record({ consumed: int, size: int, ranges: bounds })) }),
  ),
});

/** Any record of each kind that its schema allows. */
export const arbitraryRecords: { [K in RecordKind]: fc.Arbitrary<Records[K]> } = {
  'image-batch': fc.record({
    shape: some(int),
    encoding: fc.constantFrom('RAW_U8', 'PNG', 'JPEG', 'WEBP', 'LATENT_F32', 'LATENT_F16', 'LATENT_MOMENTS_F32'),
    images: some(bytes),
    labels: fc.option(some(int)),
    eventTime: long,
    source: text,
    encoder: fc.option(fc.record({ sha256: text, decoder: fc.option(text), scale: fc.double({ noNaN: true }) })),
  }),
  negatives: fc.record({ step: long, rows: int, dim: int, keys: bytes, labels: some(int) }),
  'step-journal': fc.record({
    step: long,
    topics: some(text),
    samples: some(fc.record({ topic: int, partition: int, offset: long, index: int })),
    terms: fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      fc.float(),
      { maxKeys: 4, noNullPrototype: true },
    ),
    keysDigest: sha256,
    digest: sha256,
    batchDigest: fc.option(sha256),
    archived: fc.array(fc.nat(), { maxLength: 3 }),
  }),
  commit: fc.record({
    formatVersion: int,
    run: text,
    step: long,
    generation: long,
    epoch: long,
    time: long,
    blobs: some(fc.record({ name: text, sha256: text, bytes: long })),
    position,
    negatives: fc.record({ begin: long, end: long, capacity: int, dim: int, count: long, digest: sha256 }),
    journalBegin: long,
    journalEnd: long,
    journalDigest: sha256,
    previous: sha256,
    seed: long,
    configDigest: text,
    schemaDigest: text,
    engine: text,
    config: text,
    origin: fc.option(fc.record({ run: text, step: long, commit: sha256, carried: some(text) })),
    since: fc.option(text),
  }),
  'dead-letter': fc.record({
    topic: text,
    partition: int,
    offset: long,
    index: fc.option(int),
    reason: text,
    message: text,
    time: long,
    value: fc.option(bytes),
  }),
};
