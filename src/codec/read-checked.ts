import type { SchemaNode } from './schema-node.ts';

/**
 * Builds the value that `bytes` hold of a schema, as avsc does, but byte fields are views: a record of a hundred images is
 * one piece of memory and not a hundred. Nothing is checked here: the bytes have passed `checkBytes` (check-bytes.ts, which
 * has the grammar), and the schema `isPlain`.
 */
export function readChecked(schema: SchemaNode, bytes: Buffer): unknown {
  return new ValueReader(bytes).value(schema);
}

/** Whether no union needs to say which of its branches a value is of: null or one other. */
export function isPlain(node: SchemaNode, inside: readonly SchemaNode[] = []): boolean {
  if (inside.includes(node)) return true;
  const all = [...inside, node];
  switch (node.type) {
    case 'array':
      return isPlain(node.items, all);
    case 'map':
      return isPlain(node.values, all);
    case 'record':
      return node.fields.every(({ type }) => isPlain(type, all));
    case 'union':
      return (
        node.branches.filter(({ type }) => type !== 'null').length <= 1 &&
        node.branches.every((branch) => isPlain(branch, all))
      );
    default:
      return true;
  }
}

class ValueReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  value(node: SchemaNode): unknown {
    switch (node.type) {
      case 'null':
        return null;
      case 'boolean':
        return this.#bytes[this.#at++] === 1;
      case 'int':
      case 'long':
        return this.#long();
      case 'float':
        this.#at += 4;
        return this.#bytes.readFloatLE(this.#at - 4);
      case 'double':
        this.#at += 8;
        return this.#bytes.readDoubleLE(this.#at - 8);
      case 'bytes':
        return this.#view(this.#long());
      case 'fixed':
        return this.#view(node.size);
      case 'string':
        return this.#string();
      case 'enum':
        return node.symbols[this.#long()];
      case 'union':
        return this.value(node.branches[this.#long()]!);
      case 'record': {
        const record: Record<string, unknown> = {};
        for (const { name, type } of node.fields) record[name] = this.value(type);
        return record;
      }
      case 'array': {
        const items: unknown[] = [];
        this.#blocks(() => items.push(this.value(node.items)));
        return items;
      }
      case 'map': {
        const values: Record<string, unknown> = {};
        this.#blocks(() => {
          const key = this.#string();
          values[key] = this.value(node.values);
        });
        return values;
      }
    }
  }

  #blocks(item: () => void): void {
    for (let count = this.#long(); count !== 0; count = this.#long()) {
      if (count < 0) {
        count = -count;
        this.#long();
      }
      for (; count > 0; count--) item();
    }
  }

  #view(length: number): Uint8Array {
    this.#at += length;
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#at - length, length);
  }

  #string(): string {
    const length = this.#long();
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }

  /** A safe integer: its zig-zag form has up to 54 bits, one more than a double holds, so the lowest is kept apart. */
  #long(): number {
    let byte = this.#bytes[this.#at++]!;
    const sign = byte & 1;
    let magnitude = (byte & 0x7e) / 2;
    for (let scale = 64; byte >= 0x80; scale *= 128) {
      byte = this.#bytes[this.#at++]!;
      magnitude += (byte & 0x7f) * scale;
    }
    return sign === 0 ? magnitude : -magnitude - 1;
  }
}
