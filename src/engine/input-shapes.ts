import type { HostTensor, InputSpec, TensorSpec } from './engine.ts';

/** The input's sizes that a definition leaves open, by name. */
export type Sizes = ReadonlyMap<string, number>;

export const isTensor = (value: unknown): value is HostTensor =>
  typeof value === 'object' && value !== null && 'shape' in value && 'data' in value;

export function hasOpenSizes(inputs: Readonly<Record<string, InputSpec>>): boolean {
  return Object.values(inputs).some(({ shape }) => shape.some((size) => typeof size === 'string'));
}

/**
 * Finds the sizes that are left open: of an input that says its shape they are read, of plain numbers the one that is not known
 * yet follows from how many there are. What contradicts is left to who compares each input with its shape.
 */
export function sizesOf(inputs: Readonly<Record<string, InputSpec>>, values: Readonly<Record<string, unknown>>): Sizes {
  const sizes = new Map<string, number>();
  const told = Object.entries(inputs).sort(([a], [b]) => Number(isTensor(values[b])) - Number(isTensor(values[a])));
  // Until nothing new is found: an input that leaves two sizes open may have one of them from a later one.
  for (let known = -1; known < sizes.size; ) {
    known = sizes.size;
    for (const [name, { shape }] of told) learn(shape, values[name], sizes);
  }
  return sizes;
}

function learn(shape: InputSpec['shape'], value: unknown, sizes: Map<string, number>): void {
  const open = shape.flatMap((size, axis) => (typeof size === 'string' && !sizes.has(size) ? [{ size, axis }] : []));
  if (isTensor(value)) {
    if (value.shape.length === shape.length) for (const { size, axis } of open) sizes.set(size, value.shape[axis]!);
    return;
  }
  const { length } = (value ?? {}) as { length?: unknown };
  if (open.length !== 1 || typeof length !== 'number') return;
  const rest = shape.reduce<number>((product, size) => product * sizeIn(size, sizes, 1), 1);
  const size = length / rest;
  if (Number.isInteger(size)) sizes.set(open[0]!.size, size);
}

/** The input's shape where all its sizes are known; null otherwise. */
export function concrete({ shape, dtype }: InputSpec, sizes: Sizes): TensorSpec | null {
  const found = shape.map((size) => sizeIn(size, sizes, Number.NaN));
  return found.some(Number.isNaN) ? null : { shape: found, dtype };
}

const sizeIn = (size: number | string, sizes: Sizes, otherwise: number): number =>
  typeof size === 'number' ? size : (sizes.get(size) ?? otherwise);
