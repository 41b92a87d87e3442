import { parseSchema, type SchemaNode } from './schema-node.ts';

/**
 * Parsing Canonical Form: the schema without what a reader of bytes does not need (docs, defaults, aliases, order,
 * logical types), names in full, attributes in a fixed order, no white space. Two schemas with the same form read the
 * same bytes. Source: Avro 1.12 specification, "Parsing Canonical Form for Schemas".
 */
export function canonicalForm(schema: unknown): string {
  return print(parseSchema(schema), new Set());
}

function print(node: SchemaNode, printed: Set<SchemaNode>): string {
  switch (node.type) {
    case 'union':
      return `[${node.branches.map((branch) => print(branch, printed)).join(',')}]`;
    case 'array':
      return `{"type":"array","items":${print(node.items, printed)}}`;
    case 'map':
      return `{"type":"map","values":${print(node.values, printed)}}`;
    case 'record':
    case 'enum':
    case 'fixed':
      break;
    default:
      return `"${node.type}"`;
  }
  if (printed.has(node)) return `"${node.name}"`;
  printed.add(node);
  const head = `{"name":"${node.name}","type":"${node.type}"`;
  if (node.type === 'fixed') return `${head},"size":${node.size}}`;
  if (node.type === 'enum') return `${head},"symbols":[${node.symbols.map((symbol) => `"${symbol}"`).join(',')}]}`;
  const fields = node.fields.map((field) => `{"name":"${field.name}","type":${print(field.type, printed)}}`);
  return `${head},"fields":[${fields.join(',')}]}`;
}

const EMPTY = 0xc15d213aa4d7a795n;

const TABLE = BigUint64Array.from({ length: 256 }, (_, byte) => {
  let fingerprint = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) fingerprint = (fingerprint >> 1n) ^ (fingerprint & 1n ? EMPTY : 0n);
  return fingerprint;
});

/** CRC-64-AVRO, a Rabin fingerprint. Source: Avro 1.12 specification, "Schema Fingerprints". */
export function crc64Avro(bytes: Uint8Array): bigint {
  let fingerprint = EMPTY;
  for (const byte of bytes) fingerprint = (fingerprint >> 8n) ^ TABLE[Number((fingerprint ^ BigInt(byte)) & 0xffn)]!;
  return fingerprint;
}

/** The fingerprint that single-object encoding names a schema by (unsigned 64 bits). */
export function fingerprint(schema: unknown): bigint {
  return crc64Avro(new TextEncoder().encode(canonicalForm(schema)));
}
