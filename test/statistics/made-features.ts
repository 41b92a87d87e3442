import type { Features } from '../../src/statistics/features.ts';

/** The same numbers as `made` of make_values.py, by whole numbers modulo a prime. */
export function made(n: number, d: number, salt: number): Features {
  const data = new Float32Array(n * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++)
      data[i * d + j] = ((i * i * 31 + j * j * 17 + i * j * 7 + salt * (i + 3) * (j + 5)) % 97) / 97;
  return { shape: [n, d], data };
}

/** Rows as features. */
export function rows(...values: readonly (readonly number[])[]): Features {
  return { shape: [values.length, values[0]!.length], data: Float32Array.from(values.flat()) };
}
