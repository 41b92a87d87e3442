import type { SiTSettings } from './sit.ts';

/** What is wrong with a model's settings, each named by its path in a pipeline. */
export function sitContradictions(model: SiTSettings): string[] {
  const { patch, depth, width, heads, classes } = model;
  const [height, columns, channels] = model.input;
  const counts = { input: [height, columns, channels], patch, depth, width, heads, classes };
  const found = Object.entries(counts).flatMap(([name, value]) =>
    [value].flat().every((n) => Number.isSafeInteger(n) && n >= 1)
      ? []
      : [`model.${name}: whole numbers from 1 on, not ${value}`],
  );
  if (found.length > 0) return found;
  if (width % 4 !== 0)
    found.push(`model.width: positions are sines and cosines of two axes; 4 does not divide ${width}`);
  if (height % patch !== 0 || columns % patch !== 0)
    found.push(`model.patch: ${patch} does not divide the input's ${height} x ${columns}`);
  if (width % heads !== 0) found.push(`model.heads: ${heads} heads do not divide a width of ${width}`);
  return found;
}
