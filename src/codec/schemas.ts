import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { RepulsorError } from '../errors.ts';
import { compileSchema, type RecordType } from './record-type.ts';
import { RECORD_KINDS, type RecordKind } from './records.ts';

/** From src/codec and from dist/codec alike. */
const FOLDER = new URL('../../schemas/', import.meta.url);

interface Known {
  /** What is written, and what everything read is turned into. */
  readonly current: RecordType;
  /** By fingerprint every schema that records may have been written with; the current one among them. */
  readonly writers: Map<bigint, RecordType>;
}

const known = new Map<RecordKind, Known>();

function knownSchemas(kind: RecordKind): Known {
  let found = known.get(kind);
  if (found === undefined) {
    const current = compileSchema(readSchema(kind));
    found = { current, writers: new Map([[current.fingerprint, current]]) };
    for (const past of pastSchemas(kind)) {
      const writer = compileSchema(past);
      found.writers.set(writer.fingerprint, writer);
    }
    known.set(kind, found);
  }
  return found;
}

/** The current schema, as parsed JSON: schemas/<kind>.avsc. */
export function readSchema(kind: RecordKind): unknown {
  return JSON.parse(readFileSync(new URL(`${kind}.avsc`, FOLDER), 'utf8'));
}

/** Earlier versions, kept so that what they wrote stays readable: schemas/past/<kind>.<anything>.avsc. */
function pastSchemas(kind: RecordKind): unknown[] {
  const folder = new URL('past/', FOLDER);
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((file) => file.startsWith(`${kind}.`) && file.endsWith('.avsc'));
  return files.sort().map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')));
}

export const currentSchema = (kind: RecordKind): RecordType => knownSchemas(kind).current;

export const writerSchema = (kind: RecordKind, fingerprint: bigint): RecordType | undefined =>
  knownSchemas(kind).writers.get(fingerprint);

/**
 * Makes records readable that another version or another program wrote with `schema` (parsed JSON): they are resolved
 * to ours by the rules of Avro. Returns the schema's fingerprint.
 * @throws RepulsorError CONFIG when it is not an Avro schema
 */
export function addWriterSchema(kind: RecordKind, schema: unknown): bigint {
  let writer: RecordType;
  try {
    writer = compileSchema(schema);
  } catch (cause) {
    throw new RepulsorError('CONFIG', `a writer schema for ${kind} is not Avro: ${(cause as Error).message}`, {
      hint: 'check the .avsc file: it holds one JSON schema',
      cause,
    });
  }
  knownSchemas(kind).writers.set(writer.fingerprint, writer);
  return writer.fingerprint;
}

/** Every kind's current fingerprint as 16 hex digits: what a commit's schemaDigest is computed from. */
export function schemaFingerprints(): Record<RecordKind, string> {
  const entries = RECORD_KINDS.map((kind) => [kind, currentSchema(kind).fingerprint.toString(16).padStart(16, '0')]);
  return Object.fromEntries(entries) as Record<RecordKind, string>;
}
