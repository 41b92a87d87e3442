import avro, { type Type } from 'avsc';
import { BadRecord } from './bad-record.ts';
import { checkBytes } from './check-bytes.ts';
import { fingerprint } from './fingerprint.ts';
import { isPlain, readChecked } from './read-checked.ts';
import { parseSchema, type SchemaNode } from './schema-node.ts';

/** One Avro schema, ready to write values and, as the reader's side, to read what other schemas wrote. */
export interface RecordType {
  /** CRC-64-AVRO, unsigned. */
  readonly fingerprint: bigint;
  /** @throws Error naming the field that does not fit */
  write(value: unknown): Uint8Array;
  /** Byte fields may be views of `bytes`. @throws BadRecord undecodable, incompatible_schema */
  read(bytes: Uint8Array, writer?: RecordType): unknown;
}

interface Compiled extends RecordType {
  readonly node: SchemaNode;
  readonly avro: Type;
}

/**
 * avsc reads a long below -2^52 with the wrong sign (its zig-zag form has 54 bits, a double 53), and takes 2^53 - 1 for
 * unsafe. This one is exact for every safe integer and refuses all others.
 */
const EXACT_LONG = avro.types.LongType.__with({
  fromBuffer(bytes: Buffer): number {
    const value = Number(bytes.readBigInt64LE());
    if (!Number.isSafeInteger(value)) throw new Error('a long lies beyond 2^53 - 1');
    return value;
  },
  toBuffer(value: number): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  },
  fromJSON: Number,
  toJSON: Number,
  isValid: (value: unknown) => Number.isSafeInteger(value),
  compare: (a: number, b: number) => Math.sign(a - b),
});

/** With a logical type (a timestamp) or without. */
function exactLongs(schema: unknown): Type | undefined {
  const type = typeof schema === 'object' && schema !== null && 'type' in schema ? schema.type : schema;
  return type === 'long' ? EXACT_LONG : undefined;
}

/** @throws Error when `schema` (parsed JSON) is not Avro. */
export function compileSchema(schema: unknown): RecordType {
  const node = parseSchema(schema);
  const type = avro.Type.forSchema(schema as avro.Schema, { typeHook: exactLongs, omitRecordMethods: true });
  const toBuffers = bytesToBuffers(node);
  const plain = isPlain(node);
  const resolvers = new Map<bigint, unknown>();
  const compiled: Compiled = {
    fingerprint: fingerprint(schema),
    node,
    avro: type,
    write(value) {
      const prepared = toBuffers === null ? value : toBuffers(value);
      type.isValid(prepared, {
        errorHook(path, found, expected) {
          throw new Error(`${path.join('.') || 'the value'} is ${describe(found)}, not a valid ${expected.typeName}`);
        },
      });
      return type.toBuffer(prepared);
    },
    read(bytes, writer = compiled) {
      const written = writer as Compiled;
      try {
        checkBytes(written.node, bytes);
      } catch (cause) {
        throw new BadRecord('undecodable', `not a valid ${nameOf(node)}: ${(cause as Error).message}`, cause);
      }
      try {
        const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        if (plain && written.fingerprint === compiled.fingerprint) return readChecked(node, buffer);
        if (written.fingerprint === compiled.fingerprint) return type.fromBuffer(buffer);
        let resolver = resolvers.get(written.fingerprint);
        if (resolver === undefined) {
          resolver = type.createResolver(written.avro);
          resolvers.set(written.fingerprint, resolver);
        }
        return type.fromBuffer(buffer, resolver as Parameters<Type['fromBuffer']>[1]);
      } catch (cause) {
        const message = `${nameOf(written.node)} does not read as ${nameOf(node)}: ${(cause as Error).message}`;
        throw new BadRecord('incompatible_schema', message, cause);
      }
    },
  };
  return compiled;
}

type Convert = (value: unknown) => unknown;

/** avsc takes Buffers alone for bytes: views on the same memory, made only where the schema has bytes. Null: nowhere. */
function bytesToBuffers(node: SchemaNode, inside: readonly SchemaNode[] = []): Convert | null {
  if (inside.includes(node)) return null; // our own schemas do not recurse, and others' are only read
  switch (node.type) {
    case 'bytes':
    case 'fixed':
      return (value) =>
        value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
    case 'array': {
      const item = bytesToBuffers(node.items, [...inside, node]);
      return item === null ? null : (value) => (Array.isArray(value) ? value.map(item) : value);
    }
    case 'union': {
      const branches = node.branches.map((branch) => bytesToBuffers(branch, [...inside, node]));
      const converting = branches.filter((convert) => convert !== null);
      return converting.length === 0 ? null : (value) => converting.reduce((v, convert) => convert(v), value);
    }
    case 'record': {
      const fields = node.fields.flatMap(({ name, type }) => {
        const convert = bytesToBuffers(type, [...inside, node]);
        return convert === null ? [] : [[name, convert] as const];
      });
      if (fields.length === 0) return null;
      return (value) => {
        if (typeof value !== 'object' || value === null) return value;
        const converted: Record<string, unknown> = { ...value };
        for (const [name, convert] of fields) converted[name] = convert(converted[name]);
        return converted;
      };
    }
    default:
      return null;
  }
}

const nameOf = (node: SchemaNode): string => ('name' in node ? node.name : node.type);

function describe(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const text = typeof value === 'bigint' ? `${value}n` : JSON.stringify(value);
  return text === undefined || typeof value === 'number' ? String(value) : text.slice(0, 60);
}
