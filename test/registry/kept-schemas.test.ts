import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keptSchemas } from '../../src/registry/kept-schemas.ts';

let folder: string;
let asked: number[];
const ask = async (id: number) => {
  asked.push(id);
  return id < 50 ? `{"id":${id}}` : null;
};
const away = async () => {
  throw new Error('away');
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-schemas-'));
  asked = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a schema that was asked for once is there without a registry, for good', async () => {
  const kept = join(folder, 'run', 'schemas');
  const asking = keptSchemas(kept, ask, { write: true });
  expect([await asking(1), await asking(12), await asking(1)]).toEqual(['{"id":1}', '{"id":12}', '{"id":1}']);
  expect(asked).toEqual([1, 12]);
  const later = keptSchemas(kept, away, { write: true });
  expect([await later(12), await later(1)]).toEqual(['{"id":12}', '{"id":1}']);
  await expect(later(2)).rejects.toThrow('away');
});

test('an id without a schema is not kept, and who only reads keeps nothing', async () => {
  expect(await keptSchemas(folder, ask, { write: true })(77)).toBe(null);
  expect(await keptSchemas(folder, ask, { write: false })(1)).toBe('{"id":1}');
  expect(await readdir(folder)).toEqual([]);
});

test('one that is damaged is asked for again, and put right', async () => {
  await keptSchemas(folder, ask, { write: true })(1);
  const [file] = await readdir(folder);
  await writeFile(join(folder, file!), '{"id":2}');
  await expect(keptSchemas(folder, away, { write: true })(1)).rejects.toThrow('away');
  await keptSchemas(folder, ask, { write: true })(1);
  expect(await keptSchemas(folder, away, { write: true })(1)).toBe('{"id":1}');
});

test('a folder that cannot be written is an error, and not a schema that would be lost', async () => {
  await writeFile(join(folder, 'file'), '');
  const asking = keptSchemas(join(folder, 'file', 'schemas'), ask, { write: true });
  await expect(asking(1)).rejects.toMatchObject({ code: 'STORE_FAILED' });
});
