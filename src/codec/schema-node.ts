/**
 * An Avro schema as a tree with its names resolved: what fingerprints, bounds checks and conversions walk.
 * A named type that is referred to again is the same object, so a recursive schema is a cyclic tree.
 * Source: Avro 1.12 specification, "Schema Declaration" and "Names".
 */
export type SchemaNode =
  | { readonly type: Primitive }
  | { readonly type: 'record'; readonly name: string; readonly fields: readonly SchemaField[] }
  | { readonly type: 'enum'; readonly name: string; readonly symbols: readonly string[] }
  | { readonly type: 'fixed'; readonly name: string; readonly size: number }
  | { readonly type: 'array'; readonly items: SchemaNode }
  | { readonly type: 'map'; readonly values: SchemaNode }
  | { readonly type: 'union'; readonly branches: readonly SchemaNode[] };

export interface SchemaField {
  readonly name: string;
  readonly type: SchemaNode;
}

const PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const;
export type Primitive = (typeof PRIMITIVES)[number];

const isPrimitive = (name: string): name is Primitive => (PRIMITIVES as readonly string[]).includes(name);

/** @throws Error naming what is not Avro in `schema` (parsed JSON). */
export function parseSchema(schema: unknown): SchemaNode {
  return parse(schema, '', new Map());
}

function parse(schema: unknown, namespace: string, named: Map<string, SchemaNode>): SchemaNode {
  if (typeof schema === 'string') return reference(schema, namespace, named);
  if (Array.isArray(schema)) {
    return { type: 'union', branches: schema.map((branch) => parse(branch, namespace, named)) };
  }
  if (typeof schema !== 'object' || schema === null) throw new Error(`${JSON.stringify(schema)} is not a schema`);
  const declared = schema as Record<string, unknown>;
  switch (declared.type) {
    case 'array':
      return { type: 'array', items: parse(declared.items, namespace, named) };
    case 'map':
      return { type: 'map', values: parse(declared.values, namespace, named) };
    case 'record':
    case 'enum':
    case 'fixed':
      return parseNamed(declared, declared.type, namespace, named);
    default:
      return parse(declared.type, namespace, named);
  }
}

function reference(name: string, namespace: string, named: Map<string, SchemaNode>): SchemaNode {
  if (isPrimitive(name)) return { type: name };
  const found = named.get(fullName(name, namespace));
  if (found === undefined) throw new Error(`the type ${JSON.stringify(name)} is not defined`);
  return found;
}

function parseNamed(
  declared: Record<string, unknown>,
  type: 'record' | 'enum' | 'fixed',
  enclosing: string,
  named: Map<string, SchemaNode>,
): SchemaNode {
  if (typeof declared.name !== 'string') throw new Error(`a ${type} has no name`);
  const name = fullName(declared.name, typeof declared.namespace === 'string' ? declared.namespace : enclosing);
  if (named.has(name)) throw new Error(`the type ${name} is defined twice`);
  if (type === 'enum') {
    if (!Array.isArray(declared.symbols)) throw new Error(`the enum ${name} has no symbols`);
    const node: SchemaNode = { type, name, symbols: declared.symbols.map(String) };
    named.set(name, node);
    return node;
  }
  if (type === 'fixed') {
    const node: SchemaNode = { type, name, size: Number(declared.size) };
    if (!Number.isSafeInteger(node.size) || node.size < 0) throw new Error(`the fixed ${name} has no valid size`);
    named.set(name, node);
    return node;
  }
  if (!Array.isArray(declared.fields)) throw new Error(`the record ${name} has no fields`);
  const fields: SchemaField[] = [];
  const node: SchemaNode = { type, name, fields };
  named.set(name, node); // before its fields, which may refer to it
  const namespace = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
  for (const field of declared.fields as Record<string, unknown>[]) {
    if (typeof field?.name !== 'string') throw new Error(`a field of the record ${name} has no name`);
    fields.push({ name: field.name, type: parse(field.type, namespace, named) });
  }
  return node;
}

const fullName = (name: string, namespace: string): string =>
  name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
