import { createHash } from 'node:crypto';
import type { SampleId } from '../operators/position.ts';

/** What precedes the first step, and the first commit. */
export const ZERO_DIGEST: Uint8Array = new Uint8Array(32);

export interface StepOutcome {
  readonly step: number;
  readonly samples: readonly SampleId[];
  /** The loss terms by name, as float32. */
  readonly terms: Readonly<Record<string, number>>;
  /** SHA-256 of the keys' float32 bytes. */
  readonly keysDigest: Uint8Array;
}

/**
 * The journal's chain: a step's digest covers the step's outcome and, through `previous`, all steps before it. Two runs
 * are equal up to a step if and only if their digests there are.
 *
 *   digest  := SHA-256(tag previous step samples terms keysDigest)
 *   tag     := "repulsor step 1" in ASCII, one zero byte
 *   step    := u64
 *   samples := u32 count, then per sample: text topic, u32 partition, u64 offset, u32 index
 *   terms   := u32 count, then per term, by name in code unit order: text name, f32 value
 *   text    := u32 bytes, UTF-8
 *
 * All numbers are little-endian; previous and keysDigest are 32 bytes each.
 */
export function stepDigest(previous: Uint8Array, outcome: StepOutcome): Uint8Array {
  const names = Object.keys(outcome.terms).sort();
  const topics = new Map<string, Uint8Array>();
  for (const { topic } of outcome.samples) if (!topics.has(topic)) topics.set(topic, text(topic));
  const hash = createHash('sha256');
  hash.update('repulsor step 1\0', 'ascii').update(previous).update(u64(outcome.step));
  hash.update(u32(outcome.samples.length));
  const place = new DataView(new ArrayBuffer(16));
  for (const { topic, partition, offset, index } of outcome.samples) {
    place.setUint32(0, partition, true);
    place.setBigUint64(4, BigInt(offset), true);
    place.setUint32(12, index, true);
    hash.update(topics.get(topic)!).update(place);
  }
  hash.update(u32(names.length));
  for (const name of names) hash.update(text(name)).update(f32(outcome.terms[name]!));
  return hash.update(outcome.keysDigest).digest();
}

/** SHA-256 of the keys' float32 bytes. */
export function keysDigest(keys: Float32Array): Uint8Array {
  return createHash('sha256').update(keys).digest();
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
