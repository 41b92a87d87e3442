import type { SchemaNode } from './schema-node.ts';

/**
 * Walks Avro binary against its schema without building anything, so that a decoder which trusts its input never sees
 * bytes that would make it read past the end, loop over a claimed 2^50 items or recurse without end.
 *
 *     int, long   zig-zag varint, 7 bits a byte, least significant first, at most 10 bytes
 *     bytes       long length, then that many bytes          string  the same, UTF-8
 *     array, map  blocks: long count, items; a count < 0 is followed by a long size in bytes; 0 ends
 *     union       long branch index, then the value          enum    int symbol index
 *     record      its fields in order                        fixed   size bytes
 *
 * Source: Avro 1.12 specification, "Binary Encoding".
 * @throws Error when the bytes are not exactly one value of the schema.
 */
export function checkBytes(schema: SchemaNode, bytes: Uint8Array): void {
  const walk = new Walk(bytes);
  walk.value(schema, 0);
  if (walk.position !== bytes.length) throw new Error(`${bytes.length - walk.position} bytes follow the value`);
}

/** Schemas deeper than this are hostile: ours have 5 levels. */
const MOST_DEPTH = 64;
const INT_MAX = 0x7fff_ffff;

class Walk {
  position = 0;
  readonly #bytes: Uint8Array;
  /** Items without bytes of their own (null, an empty record) cost nothing to write, so they are counted. */
  #freeItems = 1024;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(node: SchemaNode, depth: number): void {
    if (depth > MOST_DEPTH) throw new Error(`values nest deeper than ${MOST_DEPTH}`);
    switch (node.type) {
      case 'null':
        break;
      case 'boolean':
        if (this.#bytes[this.position]! > 1) throw new Error('a boolean is neither 0 nor 1');
        this.#skip(1);
        break;
      case 'int':
        this.#int();
        break;
      case 'long':
        this.#long();
        break;
      case 'float':
        this.#skip(4);
        break;
      case 'double':
        this.#skip(8);
        break;
      case 'bytes':
      case 'string':
        this.#skip(this.#long());
        break;
      case 'fixed':
        this.#skip(node.size);
        break;
      case 'enum': {
        const index = this.#int();
        if (index < 0 || index >= node.symbols.length) throw new Error(`${node.name} has no symbol ${index}`);
        break;
      }
      case 'union': {
        const branch = node.branches[this.#long()];
        if (branch === undefined) throw new Error('a union has no such branch');
        this.value(branch, depth + 1);
        break;
      }
      case 'record':
        for (const field of node.fields) this.value(field.type, depth + 1);
        break;
      case 'array':
        this.#blocks(() => this.value(node.items, depth + 1));
        break;
      case 'map':
        this.#blocks(() => {
          this.#skip(this.#long());
          this.value(node.values, depth + 1);
        });
        break;
    }
  }

  #blocks(item: () => void): void {
    for (let count = this.#long(); count !== 0; count = this.#long()) {
      if (count < 0) {
        count = -count;
        this.#long();
      }
      for (; count > 0; count--) {
        const before = this.position;
        item();
        if (this.position === before && --this.#freeItems < 0) throw new Error('too many items without bytes');
      }
    }
  }

  #skip(bytes: number): void {
    if (bytes < 0) throw new Error('a length is negative');
    if (bytes > this.#bytes.length - this.position) throw new Error('the bytes end too early');
    this.position += bytes;
  }

  #int(): number {
    const value = this.#long();
    if (value > INT_MAX || value < -INT_MAX - 1) throw new Error(`the int ${value} has more than 32 bits`);
    return value;
  }

  #long(): number {
    // The zig-zag form of a safe integer has up to 54 bits, one more than a double holds: the lowest is kept apart.
    let sign = 0;
    let magnitude = 0;
    let scale = 0.5;
    for (let i = 0; i < 10; i++) {
      const byte = this.#bytes[this.position];
      if (byte === undefined) throw new Error('the bytes end too early');
      this.position++;
      if (i === 0) sign = byte & 1;
      magnitude += (i === 0 ? byte & 0x7e : byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        const value = sign === 0 ? magnitude : -magnitude - 1;
        if (!Number.isSafeInteger(value)) throw new Error('a long lies beyond 2^53 - 1');
        return value;
      }
    }
    throw new Error('a varint is longer than 10 bytes');
  }
}
