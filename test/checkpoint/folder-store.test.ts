import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import type { BlobContent, BlobStore } from '../../src/checkpoint/store.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

const content = (...parts: Uint8Array[]): BlobContent => ({
  bytes: parts.reduce((sum, p) => sum + p.length, 0),
  chunks: () => parts,
});
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function read(store: BlobStore, ref: { sha256: string; bytes: number }): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of store.get(ref)) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

test('a blob lies under the digest of its bytes and comes back', async () => {
  const store = await openFolderStore(folder);
  const { ref, written } = await store.put(content(Buffer.from('hello '), Buffer.from('there')), 7);
  expect(ref).toEqual({ sha256: sha256(Buffer.from('hello there')), bytes: 11 });
  expect(written).toBe(true);
  expect(await readFile(join(folder, `${ref.sha256}-7`), 'utf8')).toBe('hello there');
  expect((await read(store, ref)).toString()).toBe('hello there');
  expect(await readdir(folder)).toEqual([`${ref.sha256}-7`]);
});

test('a blob of many slices comes back whole, and one without bytes too', async () => {
  const store = await openFolderStore(folder);
  const large = Buffer.alloc(9 * 1024 * 1024 + 3, 'abc');
  for (const bytes of [large, Buffer.alloc(0)]) {
    const { ref } = await store.put(content(bytes), 1);
    expect(sha256(await read(store, ref))).toBe(sha256(bytes));
  }
});

test('a blob that is there is not written again', async () => {
  const effects: string[] = [];
  const store = await openFolderStore(folder, {
    onEffect: (moment, effect) => void effects.push(`${moment} ${effect}`),
  });
  const first = await store.put(content(Buffer.from('x')), 1);
  expect(effects.splice(0)).toEqual(
    ['write', 'fsync', 'rename', 'fsync-folder'].flatMap((effect) => [`before ${effect}`, `after ${effect}`]),
  );
  const inode = (await stat(join(folder, `${first.ref.sha256}-1`))).ino;
  expect(await store.put(content(Buffer.from('x')), 1)).toEqual({ ref: first.ref, written: false });
  expect(effects).toEqual(['before fsync-folder', 'after fsync-folder']);
  expect((await stat(join(folder, `${first.ref.sha256}-1`))).ino).toBe(inode);
});

test('a blob of another length under its name is replaced', async () => {
  const store = await openFolderStore(folder);
  const { ref } = await store.put(content(Buffer.from('whole')), 1);
  await writeFile(join(folder, `${ref.sha256}-1`), 'who');
  expect(await store.put(content(Buffer.from('whole')), 1)).toEqual({ ref, written: true });
  expect((await read(store, ref)).toString()).toBe('whole');
});

test('a missing blob is missing; a shorter, longer or changed one is damaged', async () => {
  const store = await openFolderStore(folder);
  const { ref } = await store.put(content(Buffer.from('whole')), 1);
  const path = join(folder, `${ref.sha256}-1`);
  for (const [bytes, message] of [
    ['whol', /4 bytes, its commit recorded 5/],
    ['whole!', /6 bytes/],
    ['whale', /its bytes have the SHA-256/],
  ] as const) {
    await writeFile(path, bytes);
    await expect(read(store, ref)).rejects.toMatchObject({
      code: 'STATE_DAMAGED',
      message: expect.stringMatching(message),
    });
    await expect(read(store, ref)).rejects.toThrow(path);
  }
  await rm(path);
  await expect(read(store, ref)).rejects.toMatchObject({
    code: 'STATE_MISSING',
    message: expect.stringContaining(ref.sha256),
  });
});

test('opening removes what a dead writer left, and nothing else', async () => {
  const store = await openFolderStore(folder);
  const { ref } = await store.put(content(Buffer.from('x')), 1);
  const name = (n: number) => `writing-0000000${n}-0000-4000-8000-000000000000`;
  const old = new Date(Date.now() - 2 * 60 * 60 * 1000);
  for (const file of [name(1), name(2), 'notes.txt']) await writeFile(join(folder, file), 'half');
  for (const file of [name(1), 'notes.txt', `${ref.sha256}-1`]) await utimes(join(folder, file), old, old);
  await openFolderStore(folder);
  expect((await readdir(folder)).sort()).toEqual([`${ref.sha256}-1`, 'notes.txt', name(2)].sort());
});

test('a blob has an owner for each writer that put it, and is gone with the last of them', async () => {
  const effects: string[] = [];
  const store = await openFolderStore(folder, { onEffect: (_, effect) => void effects.push(effect) });
  const { ref } = await store.put(content(Buffer.from('x')), 1);
  effects.length = 0;
  expect(await store.put(content(Buffer.from('x')), 2)).toEqual({ ref, written: false });
  expect([...new Set(effects)]).toEqual(['link', 'fsync-folder']);
  await writeFile(join(folder, 'notes.txt'), '');
  const owned = (owner: number) => ({ sha256: ref.sha256, owner });
  expect(new Set(await store.list())).toEqual(new Set([owned(1), owned(2)]));
  await store.remove(owned(1));
  await store.remove(owned(1));
  expect((await read(store, ref)).toString()).toBe('x');
  await store.remove(owned(2));
  expect(await store.list()).toEqual([]);
  await expect(read(store, ref)).rejects.toMatchObject({ code: 'STATE_MISSING' });
});

test('a failed write leaves nothing behind, and says what to do', async () => {
  const store = await openFolderStore(folder, {
    onEffect: (moment, effect) => {
      if (moment === 'before' && effect === 'rename')
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    },
  });
  await expect(store.put(content(Buffer.from('x')), 1)).rejects.toMatchObject({
    code: 'STORE_FAILED',
    hint: expect.stringContaining('full'),
  });
  expect(await readdir(folder)).toEqual([]);
});

test('a folder that cannot be made says so', async () => {
  await writeFile(join(folder, 'file'), '');
  await expect(openFolderStore(join(folder, 'file', 'blobs'))).rejects.toMatchObject({
    code: 'STORE_FAILED',
    message: expect.stringContaining(join(folder, 'file', 'blobs')),
  });
});
