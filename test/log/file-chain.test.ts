import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Chain, type Commit } from '../../src/log/file/chain.ts';
import { Committed } from '../../src/log/file/committed.ts';
import { takeOverFile } from '../../src/log/file/file-transaction.ts';

/** The chain of a transactional id, with groups of 8 slots. */

const scratch: string[] = [];
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repulsor-chain-'));
  scratch.push(folder);
});
afterAll(() => Promise.all(scratch.map((path) => rm(path, { recursive: true, force: true }))));

const newChain = (): Chain => new Chain(folder, 8);
const commit = (nonce: string, epoch = 1): Commit => ({ kind: 'commit', epoch, nonce, time: 0, spans: [], groups: [] });
const noTopics = { openPartition: () => Promise.reject(new Error('not asked for')) };
const takeOver = (): ReturnType<typeof takeOverFile> => takeOverFile('id', new Committed(newChain()), noTopics);

async function nonces(from = 0): Promise<string[]> {
  return (await newChain().readFrom(from)).map((entry) =>
    entry.kind === 'commit' ? entry.nonce : `claim ${entry.epoch}`,
  );
}

test('full groups are merged into one file each, and read the same from any slot', async () => {
  const writer = await takeOver();
  for (let index = 0; index < 30; index++) await (await writer.begin()).commit();
  await writer.begin();
  const names = (await readdir(folder)).sort();
  expect(names.filter((name) => name.endsWith('.chain'))).toEqual(
    [0, 8, 16].map((slot) => `${String(slot).padStart(16, '0')}.chain`),
  );
  expect(names.filter((name) => name.endsWith('.entry')).length).toBe(31 - 24);
  const all = await nonces();
  expect(all.length).toBe(31);
  expect(all[0]).toBe('claim 1');
  for (let slot = 0; slot <= 31; slot++) expect(await nonces(slot)).toEqual(all.slice(slot));
});

test('a slot is taken once', async () => {
  const chain = newChain();
  expect(await chain.put(0, commit('a'))).toBe(true);
  expect(await chain.put(0, commit('b', 2))).toBe(false);
  expect(await nonces()).toEqual(['a']);
});

describe('a writer that was paused while its slot was merged away', () => {
  const filled = async (slots: number): Promise<Chain> => {
    const chain = newChain();
    for (let slot = 0; slot < slots; slot++) await chain.put(slot, commit(`new ${slot}`));
    await chain.merge(slots);
    return chain;
  };

  test('does not get it, and leaves nothing behind', async () => {
    await filled(8);
    expect(await newChain().put(3, commit('old'))).toBe(false);
    expect(await nonces()).toEqual(Array.from({ length: 8 }, (_, slot) => `new ${slot}`));
    expect((await readdir(folder)).filter((name) => name.endsWith('.entry'))).toEqual([]);
  });

  test('is not believed by readers, even when it dies before it can look', async () => {
    const chain = await filled(8);
    const stray = (await readFile(join(folder, '0000000000000000.chain'), 'utf8')).split('\n')[0];
    await writeFile(join(folder, '0000000000000003.entry'), `${stray}\n`);
    expect((await chain.readFrom(3)).map((entry) => entry.kind === 'commit' && entry.nonce)).toEqual([
      'new 3',
      'new 4',
      'new 5',
      'new 6',
      'new 7',
    ]);
  });

  test('keeps it when the merged entry is its own', async () => {
    const chain = newChain();
    for (let slot = 0; slot < 7; slot++) await chain.put(slot, commit(`${slot}`));
    // What another process does between this one's link and its look:
    const put = newChain().put(7, commit('mine'));
    await put;
    await chain.merge(8);
    expect(await newChain().put(7, commit('mine'))).toBe(true);
    expect((await nonces()).at(-1)).toBe('mine');
  });
});

test('merging twice, and at once, gives the same', async () => {
  const chain = newChain();
  for (let slot = 0; slot < 8; slot++) await chain.put(slot, commit(`${slot}`));
  await Promise.allSettled([newChain().merge(8), newChain().merge(8), newChain().merge(8)]);
  await newChain().merge(8);
  expect(await nonces()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
});

test('a merged file that was cut, or whose entry changed, is damage', async () => {
  const chain = newChain();
  for (let slot = 0; slot < 8; slot++) await chain.put(slot, commit(`${slot}`));
  await chain.merge(8);
  const path = join(folder, '0000000000000000.chain');
  const whole = await readFile(path);
  for (const content of [
    whole.subarray(0, whole.length - 1),
    whole.subarray(0, whole.indexOf('\n') + 1),
    Buffer.from(whole.toString().replace('"nonce":"4"', '"nonce":"5"')),
  ]) {
    await writeFile(path, content);
    await expect(nonces()).rejects.toMatchObject({ code: 'STATE_DAMAGED', message: expect.stringContaining(path) });
  }
});

test('epochs count the takeovers, through merges and new processes', async () => {
  for (let epoch = 1; epoch <= 20; epoch++) {
    const writer = await takeOver();
    expect(writer.epoch).toBe(epoch);
    const transaction = await writer.begin();
    await transaction.commit();
  }
});
