import { createHash } from 'node:crypto';
import { RepulsorError } from '../errors.ts';

/**
 * JSON with one spelling per value (RFC 8785): keys sorted by UTF-16 code units, no white space, numbers as JavaScript
 * writes them. Fields that are `undefined` do not exist.
 * @throws RepulsorError CONFIG for what JSON cannot hold (NaN, infinities, functions), naming its path
 */
export function canonicalJson(value: unknown, path = ''): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((v, i) => canonicalJson(v, `${path}[${i}]`)).join(',')}]`;
  if (typeof value === 'object') {
    const fields = Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v, path === '' ? k : `${path}.${k}`)}`);
    return `{${fields.join(',')}}`;
  }
  throw new RepulsorError('CONFIG', `the setting ${path || '(root)'} is ${String(value)}, which cannot be stored`, {
    hint: 'Settings are finite numbers, text, booleans, null, lists and objects of these.',
  });
}

/** SHA-256 of the canonical JSON, hex. */
export function configDigest(config: unknown): string {
  return createHash('sha256').update(canonicalJson(config), 'utf8').digest('hex');
}
