import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OnEffect } from '../../src/checkpoint/effects.ts';
import type { BlobContent, BlobStore } from '../../src/checkpoint/store.ts';

/** A place for blobs, empty, and a way to it past the store. */
export interface ContractPlace {
  open(onEffect?: OnEffect): Promise<BlobStore>;
  /** Names of all that lies there, blobs or not, sorted. */
  names(): Promise<string[]>;
  /** What a message calls it. */
  path(name: string): string;
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Begins what `removeUnfinished` removes, as the writer `owner` left it that was killed. */
  leaveUnfinished(owner: number): Promise<void>;
  /** How many of them are there. */
  unfinished(): Promise<number>;
  /** Called at the end. */
  close(): Promise<void>;
  /** Effects of a put of new bytes, small ones; of the same bytes again; of the same bytes by another owner. */
  readonly effects: { readonly first: string[]; readonly again: string[]; readonly other: string[] };
}

export const content = (...parts: Uint8Array[]): BlobContent => ({
  bytes: parts.reduce((sum, p) => sum + p.length, 0),
  chunks: () => parts,
});
export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export async function read(store: BlobStore, ref: { sha256: string; bytes: number }): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of store.get(ref)) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

/** What the commit and the recovery rely on, wherever the blobs lie. */
export function storeContract(openPlace: () => Promise<ContractPlace>): void {
  let place: ContractPlace;
  beforeEach(async () => {
    place = await openPlace();
  });
  afterEach(() => place.close());

  test('a blob lies under the digest of its bytes and its owner, and comes back', async () => {
    const store = await place.open();
    const { ref, written } = await store.put(content(Buffer.from('hello '), Buffer.from('there')), 7);
    expect(ref).toEqual({ sha256: sha256(Buffer.from('hello there')), bytes: 11 });
    expect(written).toBe(true);
    expect((await read(store, ref)).toString()).toBe('hello there');
    expect(await place.names()).toEqual([`${ref.sha256}-7`]);
  });

  test('a blob of many pieces comes back whole, and one without bytes too', async () => {
    const store = await place.open();
    const chunks = Array.from({ length: 9 }, (_, i) => Buffer.alloc(4 * 1024 * 1024 + i, `piece ${i}`));
    for (const parts of [chunks, [Buffer.concat(chunks)], [], [Buffer.alloc(0)]]) {
      const { ref } = await store.put(content(...parts), 1);
      const bytes = await read(store, ref);
      expect([bytes.length, sha256(bytes)]).toEqual([ref.bytes, ref.sha256]);
    }
  });

  test('a blob that is there is not written again, nor is another owner’s', async () => {
    const effects: string[] = [];
    const told = () => [...new Set(effects.splice(0))];
    const store = await place.open((moment, effect) => void effects.push(`${moment} ${effect}`));
    const moments = (names: string[]) => names.flatMap((effect) => [`before ${effect}`, `after ${effect}`]);
    const first = await store.put(content(Buffer.from('x')), 1);
    expect(told()).toEqual(moments(place.effects.first));
    expect(await store.put(content(Buffer.from('x')), 1)).toEqual({ ref: first.ref, written: false });
    expect(told()).toEqual(moments(place.effects.again));
    expect(await store.put(content(Buffer.from('x')), 2)).toEqual({ ref: first.ref, written: false });
    expect(told()).toEqual(moments(place.effects.other));
    expect(await place.names()).toEqual([`${first.ref.sha256}-1`, `${first.ref.sha256}-2`]);
  });

  test('two that put the same blob at once both have it', async () => {
    const bytes = content(Buffer.alloc(100_000, 'x'));
    const stores = await Promise.all([place.open(), place.open()]);
    const [a, b] = await Promise.all(stores.map((store) => store.put(bytes, 1)));
    expect(a!.ref).toEqual(b!.ref);
    expect((await read(stores[0]!, a!.ref)).length).toBe(100_000);
    expect(await place.names()).toEqual([`${a!.ref.sha256}-1`]);
  });

  test('a blob of another length under its name is replaced', async () => {
    const store = await place.open();
    const { ref } = await store.put(content(Buffer.from('whole')), 1);
    await place.write(`${ref.sha256}-1`, Buffer.from('who'));
    expect(await store.put(content(Buffer.from('whole')), 1)).toEqual({ ref, written: true });
    expect((await read(store, ref)).toString()).toBe('whole');
  });

  test('a missing blob is missing; a shorter, longer or changed one is damaged', async () => {
    const store = await place.open();
    const { ref } = await store.put(content(Buffer.from('whole')), 1);
    const name = `${ref.sha256}-1`;
    for (const [bytes, message] of [
      ['whol', /4 bytes, its commit recorded 5/],
      ['whole!', /6 bytes/],
      ['', /0 bytes/],
      ['whale', /its bytes have the SHA-256/],
    ] as const) {
      await place.write(name, Buffer.from(bytes));
      await expect(read(store, ref)).rejects.toMatchObject({
        code: 'STATE_DAMAGED',
        message: expect.stringMatching(message),
      });
      await expect(read(store, ref)).rejects.toThrow(place.path(name));
    }
    await place.remove(name);
    await expect(read(store, ref)).rejects.toMatchObject({
      code: 'STATE_MISSING',
      message: expect.stringContaining(ref.sha256),
    });
  });

  test('a blob has an owner for each writer that put it, and is gone with the last of them', async () => {
    const store = await place.open();
    const { ref } = await store.put(content(Buffer.from('x')), 1);
    expect(await store.put(content(Buffer.from('x')), 2)).toEqual({ ref, written: false });
    await place.write('notes.txt', Buffer.from('not a blob'));
    const owned = (owner: number) => ({ sha256: ref.sha256, owner });
    expect(new Set(await store.list())).toEqual(new Set([owned(1), owned(2)]));
    await store.remove(owned(1));
    await store.remove(owned(1));
    expect((await read(store, ref)).toString()).toBe('x');
    await store.remove(owned(2));
    expect(await store.list()).toEqual([]);
    await expect(read(store, ref)).rejects.toMatchObject({ code: 'STATE_MISSING' });
    expect(await place.names()).toEqual(['notes.txt']);
  });

  test('what dead writers left unfinished is removed up to an owner, and nothing else', async () => {
    const store = await place.open();
    const { ref } = await store.put(content(Buffer.from('x')), 1);
    await place.write('notes.txt', Buffer.from('not a blob'));
    for (const owner of [1, 3, 5]) await place.leaveUnfinished(owner);
    expect(await store.removeUnfinished(3)).toBe(2);
    expect(await place.unfinished()).toBe(1);
    expect(await store.removeUnfinished(3)).toBe(0);
    expect(await store.removeUnfinished(5)).toBe(1);
    expect(await place.unfinished()).toBe(0);
    expect((await read(store, ref)).toString()).toBe('x');
    expect((await place.names()).filter((name) => name === 'notes.txt')).toEqual(['notes.txt']);
  });

  test('a writer that was taken for dead in the middle of a large blob writes it all the same', async () => {
    const successor = await place.open();
    let removed = 0;
    const store = await place.open(async (moment, effect) => {
      const last = effect === 'rename' || effect === 'complete-upload';
      if (last && moment === 'before' && removed === 0) removed = await successor.removeUnfinished(9);
    });
    const bytes = Buffer.alloc(17 * 1024 * 1024, 'large');
    const { ref, written } = await store.put(content(bytes), 8);
    expect([removed, written]).toEqual([1, true]);
    expect(sha256(await read(store, ref))).toBe(ref.sha256);
    expect(await place.unfinished()).toBe(0);
  });

  test('a reader that stops early leaves the store in order', async () => {
    const store = await place.open();
    const { ref } = await store.put(content(Buffer.alloc(40 * 1024 * 1024, 'y')), 1);
    for await (const chunk of store.get(ref)) {
      expect(chunk[0]).toBe(121);
      break;
    }
    expect((await read(store, ref)).length).toBe(ref.bytes);
  });
}
