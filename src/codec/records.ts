/**
 * The records as programs hold them: one type for each schema in schemas/. Avro int and long are numbers (a long beyond
 * 2^53 - 1 is refused, never rounded), bytes and fixed are Uint8Array, a union with null is `T | null`.
 * What the fields mean is said in the schemas.
 */

export type Encoding = 'RAW_U8' | 'PNG' | 'JPEG' | 'WEBP' | 'LATENT_F32' | 'LATENT_F16' | 'LATENT_MOMENTS_F32';

/** Which model made latents, which turns them back (null: not said), and what they are multiplied by for training. */
export interface Encoder {
  /** Hex: src/onnx/onnx-digest.ts. */
  sha256: string;
  decoder: string | null;
  scale: number;
}

export interface ImageBatch {
  /** Height, width, channels. */
  shape: number[];
  encoding: Encoding;
  images: Uint8Array[];
  labels: number[] | null;
  /** Milliseconds since the epoch. */
  eventTime: number;
  source: string;
  /** Null for pixels, and for latents of an encoder that is not named. */
  encoder: Encoder | null;
}

export interface Negatives {
  step: number;
  rows: number;
  dim: number;
  /** rows x dim float32, little-endian, row-major. */
  keys: Uint8Array;
  labels: number[];
}

export interface SampleRef {
  /** Index into the entry's `topics`. */
  topic: number;
  partition: number;
  offset: number;
  index: number;
}

export interface StepJournal {
  step: number;
  topics: string[];
  samples: SampleRef[];
  /** float32 values: what is not one exactly comes back rounded. */
  terms: Record<string, number>;
  /** 32 bytes. */
  keysDigest: Uint8Array;
  /** 32 bytes. */
  digest: Uint8Array;
  /** 32 bytes; null in entries written before there was one. */
  batchDigest: Uint8Array | null;
  /** Indices into samples. */
  archived: number[];
}

export interface Blob {
  name: string;
  sha256: string;
  bytes: number;
}

export interface QueueState {
  begin: number;
  end: number;
  capacity: number;
  dim: number;
  count: number;
  /** 32 bytes. */
  digest: Uint8Array;
}

/** src/operators/position.ts as it is stored; the operators' type is the same, read-only. */
export interface StoredPosition {
  epoch: number;
  samples: number;
  windows: number;
  next: { topic: string; partition: number; offset: number }[];
  turn: number;
  seen: { topic: string; partition: number; offset: number; checksum: number }[];
  bounds: { topic: string; partition: number; begin: number; end: number }[] | null;
  window: { consumed: number; records: { topic: string; partition: number; offsets: number[] }[] } | null;
  encoder: { sha256: string | null; decoder: string | null } | null;
  archive: {
    windows: number;
    open: {
      consumed: number;
      size: number;
      ranges: { topic: string; partition: number; begin: number; end: number }[];
    } | null;
  } | null;
}

export interface Origin {
  run: string;
  step: number;
  /** 32 bytes. */
  commit: Uint8Array;
  carried: string[];
}

export interface Commit {
  formatVersion: number;
  run: string;
  step: number;
  generation: number;
  epoch: number;
  /** Milliseconds since the epoch. */
  time: number;
  blobs: Blob[];
  position: StoredPosition;
  negatives: QueueState;
  journalBegin: number;
  journalEnd: number;
  /** 32 bytes. */
  journalDigest: Uint8Array;
  /** 32 bytes. */
  previous: Uint8Array;
  seed: number;
  configDigest: string;
  schemaDigest: string;
  engine: string;
  config: string;
  origin: Origin | null;
  since: string | null;
}

export interface DeadLetter {
  topic: string;
  partition: number;
  offset: number;
  index: number | null;
  reason: string;
  message: string;
  /** Milliseconds since the epoch. */
  time: number;
  value: Uint8Array | null;
}

/** Every kind of record by the file of its schema: schemas/<kind>.avsc. */
export interface Records {
  'image-batch': ImageBatch;
  negatives: Negatives;
  'step-journal': StepJournal;
  commit: Commit;
  'dead-letter': DeadLetter;
}

export type RecordKind = keyof Records;

export const RECORD_KINDS = [
  'image-batch',
  'negatives',
  'step-journal',
  'commit',
  'dead-letter',
] as const satisfies readonly RecordKind[];
