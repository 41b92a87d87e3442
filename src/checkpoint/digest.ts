import { createHash } from 'node:crypto';
import type { SampleId } from '../operators/position.ts';

/** What precedes the first step, and the first commit. */
export const ZERO_DIGEST: Uint8Array = new Uint8Array(32);

export const isSameDigest = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export interface StepOutcome {
  readonly step: number;
  readonly samples: readonly SampleId[];
  /** The loss terms by name, as float32. */
  readonly terms: Readonly<Record<string, number>>;
  /** SHA-256 of the keys' float32 bytes. */
  readonly keysDigest: Uint8Array;
  /** `batchDigest` of what the step took; null in entries from before there was one. */
  readonly batchDigest: Uint8Array | null;
  /** Which of the samples, by index, were read again from the archive. */
  readonly archived: readonly number[];
}

/**
 * The journal's chain: a step's digest covers the step's outcome and, through `previous`, all steps before it. Two runs
 * are equal up to a step if and only if their digests there are.
 *
 *   digest  := SHA-256(tag previous step samples terms keysDigest batchDigest? archived?)
 *   tag     := "repulsor step 2" in ASCII, one zero byte; without a batchDigest "repulsor step 1", with archived "repulsor step 3"
 *   step    := u64
 *   samples := u32 count, then per sample: text topic, u32 partition, u64 offset, u32 index
 *   terms   := u32 count, then per term, by name in code unit order: text name, f32 value
 *   archived := where there are any: u32 count, then u32 index each
 *   text    := u32 bytes, UTF-8
 *
 * All numbers are little-endian; previous, keysDigest and batchDigest are 32 bytes each.
 */
export function stepDigest(previous: Uint8Array, outcome: StepOutcome): Uint8Array {
  const names = Object.keys(outcome.terms).sort();
  const hash = createHash('sha256');
  const { batchDigest, archived } = outcome;
  const version = archived.length > 0 ? '3' : batchDigest === null ? '1' : '2';
  hash.update(['repulsor step ', version, '\0'].join(''), 'ascii').update(previous).update(u64(outcome.step));
  hash.update(u32(outcome.samples.length)).update(sampleBytes(outcome.samples));
  hash.update(u32(names.length));
  for (const name of names) hash.update(text(name)).update(f32(outcome.terms[name]!));
  hash.update(outcome.keysDigest);
  if (batchDigest !== null) hash.update(batchDigest);
  if (archived.length > 0) for (const number of [archived.length, ...archived]) hash.update(u32(number));
  return hash.digest();
}

/** In one piece: a call of the hash costs as much as hashing a kilobyte. */
function sampleBytes(samples: readonly SampleId[]): Uint8Array {
  const topics = new Map<string, Uint8Array>();
  for (const { topic } of samples) if (!topics.has(topic)) topics.set(topic, text(topic));
  const length = samples.reduce((sum, { topic }) => sum + topics.get(topic)!.length + 16, 0);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { topic, partition, offset, index } of samples) {
    const name = topics.get(topic)!;
    bytes.set(name, at);
    at += name.length;
    view.setUint32(at, partition, true);
    view.setUint32(at + 4, offset % 2 ** 32, true);
    view.setUint32(at + 8, Math.floor(offset / 2 ** 32), true);
    view.setUint32(at + 12, index, true);
    at += 16;
  }
  return bytes;
}

/** SHA-256 of the keys' float32 bytes. */
export function keysDigest(keys: Float32Array): Uint8Array {
  return createHash('sha256').update(keys).digest();
}

/**
 * What a step took, whatever it made of it: tells other images, labels or an other order apart from another computation.
 *
 *   digest := SHA-256(tag size images labels)
 *   tag    := "repulsor batch 2" where images are bytes, "repulsor batch 1" where they are floats, in ASCII, one zero byte
 *   size   := u32, samples; images := u8 or f32 (B, H, W, C); labels := i32 (B); all little-endian
 */
export function batchDigest({ images, labels }: { images: Uint8Array | Float32Array; labels: Int32Array }): Uint8Array {
  const tag = images instanceof Float32Array ? 'repulsor batch 1\0' : 'repulsor batch 2\0';
  const hash = createHash('sha256').update(tag, 'ascii').update(u32(labels.length));
  return hash.update(images).update(labels).digest();
}

function u32(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setUint32(0, value, true);
  return new Uint8Array(bytes.buffer);
}

function u64(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(bytes.buffer);
}

function f32(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setFloat32(0, value, true);
  return new Uint8Array(bytes.buffer);
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u32(bytes.length), bytes]);
}
