import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFolderStore } from '../../src/checkpoint/folder-store.ts';
import { content, storeContract } from './store-contract.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

const temporary = (owner: number | null, n: number) =>
  `writing-${owner === null ? '' : `${owner}-`}0000000${n}-0000-4000-8000-000000000000`;

describe('a folder', () => {
  storeContract(async () => {
    let left = 0;
    const names = async () => (await readdir(folder)).sort();
    return {
      open: (onEffect) => openFolderStore(folder, onEffect && { onEffect }),
      names,
      path: (name) => join(folder, name),
      write: (name, bytes) => writeFile(join(folder, name), bytes),
      remove: (name) => rm(join(folder, name)),
      leaveUnfinished: (owner) => writeFile(join(folder, temporary(owner, ++left)), 'half'),
      unfinished: async () => (await names()).filter((name) => name.startsWith('writing-')).length,
      close: async () => undefined,
      effects: {
        first: ['write', 'fsync', 'rename', 'fsync-folder'],
        again: ['fsync-folder'],
        other: ['link', 'fsync-folder'],
      },
    };
  });
});

test('the owners of a blob share its bytes', async () => {
  const store = await openFolderStore(folder);
  const { ref } = await store.put(content(Buffer.from('x')), 1);
  await store.put(content(Buffer.from('x')), 2);
  const inodes = await Promise.all(
    [1, 2].map(async (owner) => (await stat(join(folder, `${ref.sha256}-${owner}`))).ino),
  );
  expect(inodes[0]).toBe(inodes[1]);
});

test('a temporary file of an earlier version, which did not say whose it is, is removed too', async () => {
  const store = await openFolderStore(folder);
  for (const name of [temporary(null, 1), 'writing-notes.txt']) await writeFile(join(folder, name), 'half');
  expect(await store.removeUnfinished(1)).toBe(1);
  expect(await readdir(folder)).toEqual(['writing-notes.txt']);
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
